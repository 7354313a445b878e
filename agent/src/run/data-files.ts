import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { keyText, type TaskKey } from "../task-key.js";

/** The files of one attempt in data/. */
export interface DataFiles {
  readonly command: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly structuredOut: string;
}

/** Where an attempt's files are now; `suffix` is its journal entry's `fileSuffix`. */
export function dataFiles(folders: AgentFolders, taskId: string, suffix = ""): DataFiles {
  return {
    command: join(folders.data, `command-${taskId}.json${suffix}`),
    stdout: join(folders.data, `output-${taskId}.txt${suffix}`),
    stderr: join(folders.data, `errors-${taskId}.txt${suffix}`),
    structuredOut: join(folders.data, `structured-out-${taskId}.json${suffix}`),
  };
}

/**
 * Frees the plain names for the attempt `key`: files of a former attempt, or of a task with this number in another
 * store, are renamed to end with `.k`, the first k free for all four. The journal says so before the files move, and a
 * move that was not finished is finished: whoever reads an attempt's files by its journal entry finds them.
 */
export async function takeFileNames(
  journal: Journal,
  folders: AgentFolders,
  key: TaskKey,
): Promise<void> {
  if (areNamesFree(journal, folders, key)) return;
  const others = journal.attempts(key.taskId).filter((entry) => isOther(entry, key));
  const owner = others.find((entry) => entry.fileSuffix === "");
  const suffix = owner
    ? freeSuffix(folders, key.taskId)
    : (unfinishedSuffix(others) ?? freeSuffix(folders, key.taskId));
  if (owner) await journal.filesMoved(owner.key, suffix);
  const from = dataFiles(folders, key.taskId);
  const to = dataFiles(folders, key.taskId, suffix);
  for (const name of Object.keys(from) as (keyof DataFiles)[]) {
    if (existsSync(from[name])) renameSync(from[name], to[name]);
  }
}

/** Whether nobody has had the plain names before: then there is nothing to move. */
export function areNamesFree(journal: Journal, folders: AgentFolders, key: TaskKey): boolean {
  if (anyThere(folders, key.taskId)) return false;
  return !journal.attempts(key.taskId).some((entry) => isOther(entry, key));
}

function anyThere(folders: AgentFolders, taskId: string, suffix?: string): boolean {
  const paths: string[] = Object.values(dataFiles(folders, taskId, suffix));
  return paths.some((path) => existsSync(path));
}

/** Whether it is another attempt of the task's number, and may have files of its name. */
function isOther({ key, start }: JournalEntry, than: TaskKey): boolean {
  return start !== null && keyText(key) !== keyText(than);
}

function freeSuffix(folders: AgentFolders, taskId: string): string {
  for (let k = 0; ; k++) {
    const suffix = `.${k}`;
    if (!anyThere(folders, taskId, suffix)) return suffix;
  }
}

/** With no owner of the plain names, files there are those of the latest that was to move. */
function unfinishedSuffix(others: readonly JournalEntry[]): string | undefined {
  const numbers = others.map(({ fileSuffix }) => Number(fileSuffix.slice(1)));
  return numbers.length === 0 ? undefined : `.${Math.max(...numbers)}`;
}
