import type { Dirent } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { StackError } from "./stack-error.js";

function isMissing(reason: unknown): boolean {
  const code = (reason as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** A file's text, or undefined when there is no such file. Any other trouble is a {@link StackError}. */
export async function readTextIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (reason) {
    if (isMissing(reason)) return undefined;
    throw new StackError(file, `cannot be read: ${(reason as Error).message}`);
  }
}

/** What a folder holds, by name; undefined when there is no such folder. */
export async function listIfPresent(folder: string): Promise<Dirent[] | undefined> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (reason) {
    if (isMissing(reason)) return undefined;
    throw new StackError(folder, `cannot be read: ${(reason as Error).message}`);
  }
}

/** The names of a folder's sub-folders, sorted, without hidden ones; empty when there is no such folder. */
export async function listFolders(folder: string): Promise<string[]> {
  const entries = (await listIfPresent(folder)) ?? [];
  return entries
    .filter(
      (entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."),
    )
    .map((entry) => entry.name);
}
