import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";

/** The agent's own id: random, made once, kept beside the journal so that it outlives a journal that was lost. */
export function readAgentId(folders: AgentFolders): string {
  const path = join(folders.journal, "agent-id");
  try {
    const id = readFileSync(path, "utf8").trim();
    if (id !== "") return id;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const id = randomUUID();
  const fd = openSync(`${path}.new`, "w", 0o600);
  try {
    writeSync(fd, `${id}\n`);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
  return id;
}
