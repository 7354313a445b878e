import { readFileSync, statSync } from "node:fs";

/** Larger structured output is not reported. */
export const structuredOutputCapBytes = 64 * 1024;

/**
 * What a command's scripts left in their structured output file, as the JSON text to report: `{}` when there is no file,
 * and an object whose `msg` says what is wrong when it can't be read or is too large. Never fails the command.
 */
export function readStructuredOutput(path: string): string {
  let text: string;
  try {
    if (statSync(path).size > structuredOutputCapBytes) {
      return message(
        `Structured output in ${path} is larger than ${structuredOutputCapBytes} bytes`,
      );
    }
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "{}";
    return message(`Unable to read structured output from ${path}`);
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return message(`Unable to read structured output from ${path}`);
  }
}

function message(msg: string): string {
  return JSON.stringify({ msg });
}
