import { isJsonObject, type Json } from "../json.js";
import { ArithmeticError } from "./arithmetic.js";

/**
 * The one piece of Python that Ambari's stacks have in the place of an expression (HDFS's `namenode_directory_status`): how many entries a
 * key of a value that is JSON has. It is known by its looks, and never run.
 */
const idiom = new RegExp(
  [
    String.raw`^calculate\(args\)\s+def calculate\(args\):\s+import json\s+`,
    String.raw`([a-z_]{1,50}) = json[.]loads\(\{([0-9]{1,3})\}\)\s+`,
    String.raw`return len\(\1\['([A-Za-z0-9_.-]{1,100})'\]\) if '\3' in \1 else 0\s*$`,
  ].join(""),
);
const longest = 1_000;

/** The number of entries; undefined when the expression is another one. Throws ArithmeticError when the value is no JSON. */
export function countedEntries(expression: string, values: readonly Json[]): number | undefined {
  const [, , index, key = ""] = expression.length > longest ? [] : (idiom.exec(expression) ?? []);
  if (index === undefined) return undefined;
  const object = objectOf(values[Number(index)]);
  if (object === undefined) throw new ArithmeticError(`{${index}} is no JSON object`);
  const entries = Object.hasOwn(object, key) ? object[key] : undefined;
  if (entries === undefined || entries === null) return 0;
  return typeof entries === "object" ? Object.keys(entries).length : String(entries).length;
}

function objectOf(value: Json | undefined) {
  try {
    const found = typeof value === "string" ? (JSON.parse(value) as Json) : value;
    return isJsonObject(found) ? found : undefined;
  } catch {
    return undefined;
  }
}
