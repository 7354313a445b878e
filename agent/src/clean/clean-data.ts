import { lstatSync, rmSync, statSync, unlinkSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import type { Journal } from "../journal/journal.js";
import { isNeeded } from "../journal/keep-journal.js";
import { autoStoreId } from "../recovery/auto-files.js";
import { strayRecordFolders } from "../run/record-folders.js";

/** What is cleaned, and up to where. */
export interface CleanDataOptions {
  readonly folders: AgentFolders;
  readonly journal: Journal;
  readonly log: Logger;
  /** Files that were last written longer ago go. */
  readonly maxAgeMs: number;
  /** Of what is left the oldest goes until all the tasks' files together are no bigger. */
  readonly maxBytes: number;
  /** The wall clock; tests set it. */
  readonly now?: () => number;
}

/** What a pass did. */
export interface DataCleaned {
  readonly removed: number;
  readonly removedBytes: number;
  /** What the tasks' files still take. */
  readonly leftBytes: number;
}

interface TaskFile {
  readonly path: string;
  /** The task's, or `auto_N`. */
  readonly taskId: string;
  readonly bytes: number;
  readonly writtenAtMs: number;
}

/** Every file of a task, or of what the agent ran by itself, those of former attempts and half-written ones too. */
const taskFile =
  /^(auto_)?(?:command|output|errors|structured-out)-([0-9]{1,20})[.](?:json|txt)(?:[.].*)?$/;
/** Looked at or removed in one go; then others have their turn. */
const batch = 100;

/**
 * Removes old files of tasks from data/. What any attempt in the journal may still need stays, whatever its age and size: that is all
 * that is unfinished or unacknowledged, and for seven days what is acknowledged, for the server may ask for it again. So do the files
 * of what runs although its journal was lost. Nothing else in data/ is touched but the step records of lost journals.
 */
export async function cleanData(
  options: CleanDataOptions,
  signal: AbortSignal,
): Promise<DataCleaned> {
  const { folders, journal, maxAgeMs, maxBytes } = options;
  const now = options.now ?? Date.now;
  const orphans = cleanStrayRecords(options, now());
  const files = await findTaskFiles(folders, signal);
  let leftBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let removed = 0;
  let removedBytes = 0;
  const trouble = new Map<string, number>();

  files.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
  for (let from = 0, done = false; from < files.length && !done; from += batch) {
    signal.throwIfAborted();
    for (const { path, taskId, bytes, writtenAtMs } of files.slice(from, from + batch)) {
      done = writtenAtMs >= now() - maxAgeMs && leftBytes <= maxBytes;
      if (done) break; // those that follow are younger
      // Looked up in the turn in which the files go: a command that comes meanwhile may take an old file's name.
      if (isNeededTask(journal, taskId, now()) || orphans.has(taskId)) continue;
      try {
        unlinkSync(path);
        removed += 1;
        removedBytes += bytes;
        leftBytes -= bytes;
      } catch (error) {
        const { code = "" } = error as NodeJS.ErrnoException;
        if (code !== "ENOENT") trouble.set(code, (trouble.get(code) ?? 0) + 1);
      }
    }
    await turn();
  }

  for (const [code, count] of trouble) {
    options.log.warn({ code, count }, "old files in data/ could not be removed");
  }
  return { removed, removedBytes, leftBytes };
}

/** Whether files of the task may still be asked for. The journal itself forgets later, when it is next written anew. */
function isNeededTask(journal: Journal, taskId: string, nowMs: number): boolean {
  return journal.attempts(taskId).some((entry) => isNeeded(entry, nowMs));
}

/** The files of tasks in data/. There may be a hundred thousand: others have their turns meanwhile. */
async function findTaskFiles({ data }: AgentFolders, signal: AbortSignal): Promise<TaskFile[]> {
  const files: TaskFile[] = [];
  for (const [index, name] of (await readdir(data)).entries()) {
    if (index % batch === 0) {
      await turn();
      signal.throwIfAborted();
    }
    const match = taskFile.exec(name);
    if (match === null) continue;
    const taskId = `${match[1] ?? ""}${match[2]}`;
    const path = join(data, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isFile()) {
      files.push({ path, taskId, bytes: stat.size, writtenAtMs: stat.mtimeMs });
    }
  }
  return files;
}

/** Removes the step records that a lost journal left, when they are old; returns the tasks of those that still run. */
function cleanStrayRecords(
  { folders, journal, maxAgeMs }: CleanDataOptions,
  nowMs: number,
): Set<string> {
  const running = new Set<string>();
  for (const { path, storeId, taskId, isRunning } of strayRecordFolders(folders, journal)) {
    if (isRunning) running.add(storeId === autoStoreId ? `auto_${taskId}` : taskId);
    else if (statSync(path).mtimeMs < nowMs - maxAgeMs) rmSync(path, { recursive: true });
  }
  return running;
}
