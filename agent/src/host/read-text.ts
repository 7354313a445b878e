import { readFileSync } from "node:fs";

/** The text of a small file of the kernel or the system; empty when it is not there or not for us to read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** `KEY: NUMBER` of a file such as /proc/meminfo; undefined when it is not there. */
export function numberOf(text: string, key: string): number | undefined {
  const found = new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
