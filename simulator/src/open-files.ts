import { openFileLimit } from "@howdah/service/open-files";

/** What a process has open besides its connections. */
const otherFiles = 100;

/** Each connection is an open file: how many a process needs to have so many, and how many a process of this user may have. */
export function openFilesFor(connections: number): { needed: number; limit: number } {
  return { needed: connections + otherFiles, limit: openFileLimit() };
}
