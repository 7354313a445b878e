import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";
import type { Journal } from "../journal/journal.js";
import { keyFolderName, type TaskKey } from "../task-key.js";
import { readStepState } from "./step-records.js";

/** Where an attempt's plan and the records of its steps are. */
export function recordFolderOf(folders: AgentFolders, key: TaskKey): string {
  return join(folders.steps, keyFolderName(key));
}

/** Whether an attempt has the plain names of its task's files: its folder of records is made the moment after it has taken them. */
export function hasFileNames(folders: AgentFolders, key: TaskKey): boolean {
  return existsSync(recordFolderOf(folders, key));
}

/** Removes the records of attempts that the journal has forgotten. */
export function removeRecordFolders(folders: AgentFolders, keys: readonly TaskKey[]): void {
  for (const key of keys) {
    rmSync(recordFolderOf(folders, key), { recursive: true, force: true });
  }
}

/** A folder of records that the journal knows nothing of. */
export interface StrayRecords {
  readonly path: string;
  readonly storeId: string;
  readonly taskId: string;
  /** The folder's name, as of the attempt's key. */
  readonly name: string;
  readonly isRunning: boolean;
}

/** The records of attempts that are not in the journal: it was lost, and they may go on under their supervisors. */
export function strayRecordFolders(folders: AgentFolders, journal: Journal): StrayRecords[] {
  const known = new Set(journal.entries().map(({ key }) => keyFolderName(key)));
  return readdirSync(folders.steps, { withFileTypes: true })
    .filter((found) => found.isDirectory() && !known.has(found.name))
    .map(({ name }) => {
      const [storeId = "", taskId = ""] = name.split(".");
      const path = join(folders.steps, name);
      return { path, storeId, taskId, name, isRunning: isRunning(path) };
    });
}

/** Looks for such attempts that still run. Returns a test of whether another attempt of a task is among them, so that none is started beside it. */
export function findOrphans(folders: AgentFolders, journal: Journal): (key: TaskKey) => boolean {
  const orphans = new Set(
    strayRecordFolders(folders, journal).filter(({ isRunning }) => isRunning),
  );
  return (key) => {
    for (const orphan of orphans) {
      const { path, storeId, taskId, name } = orphan;
      if (storeId !== key.storeId || taskId !== key.taskId || name === keyFolderName(key)) continue;
      if (isRunning(path)) return true;
      orphans.delete(orphan);
    }
    return false;
  };
}

function isRunning(folder: string): boolean {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".record"))
    .some((file) => readStepState(join(folder, file)).kind === "running");
}
