import { readFileSync } from "node:fs";

/** What a process has open besides its connections. */
const otherFiles = 100;

/** Each connection is an open file: how many a process needs to have so many, and how many a process of this user may have. */
export function openFilesFor(connections: number): { needed: number; limit: number } {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const limit = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return {
    needed: connections + otherFiles,
    limit: Number(limit ?? Number.POSITIVE_INFINITY),
  };
}
