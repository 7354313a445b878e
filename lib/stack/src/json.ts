import { StackError } from "./stack-error.js";

/** A JSON object as read: of a repeated key the last value. */
export type JsonObject = { readonly [key: string]: unknown };

/** True for a JSON object, as opposed to a list, null or a scalar. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a JSON file that must hold an object; a malformed one is a {@link StackError} with the line. */
export function parseJson(content: string, file: string): JsonObject {
  const text = content.replace(/^\uFEFF/, "");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const { offset, problem } = findFault(text);
    throw new StackError(file, `malformed JSON: ${problem}`, lineAt(text, offset));
  }
  if (!isJsonObject(value)) throw new StackError(file, "must be a JSON object", 1);
  return value;
}

/** The line, from 1, of the first place that matches; undefined when nothing does. */
export function findLine(content: string, needle: string): number | undefined {
  const offset = content.indexOf(needle);
  return offset < 0 ? undefined : lineAt(content, offset);
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

const tokens =
  /[ \t\r\n]+|[{}[\]:,]|"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/uy;

/**
 * Finds where JSON.parse gave up: its own message has no position for most mistakes on Node 20.
 * Reads token by token, keeping only what may come next.
 */
function findFault(text: string): { offset: number; problem: string } {
  const open: ("{" | "[")[] = [];
  let expected: "value" | "key" | "first key" | "first value" | ":" | "next" | "end" = "value";
  let offset = 0;
  const afterValue = () => (open.length > 0 ? "next" : "end");
  while (offset < text.length) {
    tokens.lastIndex = offset;
    const token = tokens.exec(text)?.[0];
    if (token === undefined) {
      const word = /^\S{0,20}/u.exec(text.slice(offset))?.[0];
      return { offset, problem: `unexpected ${word || "character"}` };
    }
    const inObject = open.at(-1) === "{";
    if (/^\s/.test(token)) {
      // between tokens
    } else if (expected === "first key" || expected === "key") {
      if (token.startsWith('"')) expected = ":";
      else if (token === "}" && expected === "first key") {
        open.pop();
        expected = afterValue();
      } else return { offset, problem: `expected a key in double quotes instead of ${token}` };
    } else if (expected === ":") {
      if (token !== ":") return { offset, problem: `expected a colon instead of ${token}` };
      expected = "value";
    } else if (expected === "next") {
      if (token === ",") expected = inObject ? "key" : "value";
      else if (token === (inObject ? "}" : "]")) {
        open.pop();
        expected = afterValue();
      } else return { offset, problem: `expected a comma instead of ${token}` };
    } else if (expected === "end") {
      return { offset, problem: `expected nothing after the end instead of ${token}` };
    } else if (token === "{" || token === "[") {
      open.push(token);
      expected = token === "{" ? "first key" : "first value";
    } else if (token === "]" && expected === "first value") {
      open.pop();
      expected = afterValue();
    } else if ("}],:".includes(token)) {
      return { offset, problem: `expected a value instead of ${token}` };
    } else expected = afterValue();
    offset += token.length;
  }
  return { offset: text.trimEnd().length, problem: "it ends too early" };
}
