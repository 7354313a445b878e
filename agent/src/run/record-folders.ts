import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";
import type { Journal } from "../journal/journal.js";
import { keyFolderName, type TaskKey } from "../task-key.js";
import { readStepState } from "./step-records.js";

/** Where an attempt's plan and the records of its steps are. */
export function recordFolderOf(folders: AgentFolders, key: TaskKey): string {
  return join(folders.steps, keyFolderName(key));
}

/** Removes the records of attempts that the journal has forgotten. */
export function removeRecordFolders(folders: AgentFolders, keys: readonly TaskKey[]): void {
  for (const key of keys) {
    rmSync(recordFolderOf(folders, key), { recursive: true, force: true });
  }
}

/**
 * Looks for attempts that still run but are not in the journal: it was lost, and they go on under their supervisors.
 * Returns a test of whether another attempt of a task is among them, so that none is started beside it.
 */
export function findOrphans(folders: AgentFolders, journal: Journal): (key: TaskKey) => boolean {
  const known = new Set(journal.entries().map(({ key }) => keyFolderName(key)));
  const orphans = new Set(
    readdirSync(folders.steps).filter((name) => !known.has(name) && isRunning(folders, name)),
  );
  return (key) => {
    for (const name of orphans) {
      const [storeId, taskId] = name.split(".");
      if (storeId !== key.storeId || taskId !== key.taskId || name === keyFolderName(key)) continue;
      if (isRunning(folders, name)) return true;
      orphans.delete(name);
    }
    return false;
  };
}

function isRunning(folders: AgentFolders, name: string): boolean {
  const folder = join(folders.steps, name);
  return readdirSync(folder)
    .filter((file) => file.endsWith(".record"))
    .some((file) => readStepState(join(folder, file)).kind === "running");
}
