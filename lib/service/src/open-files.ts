import { readFileSync } from "node:fs";

/** How many files this process may have open; infinite where there is no limit. Node raises it to the hard limit at its start. */
export function openFileLimit(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const limit = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return Number(limit ?? Number.POSITIVE_INFINITY);
}
