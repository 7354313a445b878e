import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { type AgentFolders, createFolders } from "./folders.js";
import { takeInstanceLock } from "./instance-lock.js";
import type { JournalEntry } from "./journal/entry.js";
import type { Journal } from "./journal/journal.js";
import { JournalDamagedError, openJournal } from "./journal/open-journal.js";
import { autoStoreId } from "./recovery/auto-files.js";
import { strayRecordFolders } from "./run/record-folders.js";
import { taskVariable } from "./run/script-environment.js";
import { stopTree } from "./run/stop-tree.js";
import { keyText } from "./task-key.js";

/** Thrown when a reset would lose what the server does not have; one line for each, and how to lose it. */
export class ResetRefusedError extends Error {
  override readonly name = "ResetRefusedError";
}

const named = 10;

/**
 * Makes an agent that is not running as if it had just been installed: without journal, agent id, tasks' files, packages and documents.
 * Its ini file, its keys and certificates, its logs and tmp/ stay. Throws PrefixInUseError while it runs; ResetRefusedError, with
 * nothing removed, when commands have not ended or results are not acknowledged. With `force` they are lost, and what still runs is
 * stopped first.
 * @returns what was done, a line each
 */
export async function resetAgent(
  folders: AgentFolders,
  log: Logger,
  { force }: { readonly force: boolean },
): Promise<string[]> {
  if (!existsSync(folders.journal)) return [`there is nothing of an agent in ${folders.data}`];
  createFolders(folders);
  const journal = await openOrNothing(folders, log, force);
  const unlock = journal === undefined ? takeInstanceLock(folders) : undefined;
  try {
    const lost = journal === undefined ? [] : undelivered(journal, folders);
    if (lost.length > 0 && !force) throw refusal(lost);
    await stopWhatRuns(folders, journal, log);
    for (const folder of [folders.data, folders.cache]) empty(folder, folders.dataLock);
    const what = lost.map((line) => `lost: ${line}`);
    return [
      ...what,
      `${folders.data} and ${folders.cache} are empty; the next start is a first one`,
    ];
  } finally {
    await journal?.close();
    unlock?.();
  }
}

/** Undefined when the journal is damaged and is to go anyway. */
async function openOrNothing(
  folders: AgentFolders,
  log: Logger,
  force: boolean,
): Promise<Journal | undefined> {
  try {
    return await openJournal(folders, log);
  } catch (error) {
    if (force && error instanceof JournalDamagedError) return undefined;
    throw error;
  }
}

function isOpen({ state, acknowledgedAtMs }: JournalEntry): boolean {
  return state !== "ENDED" || acknowledgedAtMs === null;
}

function undelivered(journal: Journal, folders: AgentFolders): string[] {
  const entries = journal.entries().filter(isOpen);
  return [
    ...entries.map(({ key, state }) => {
      const what = state === "ENDED" ? "its result is not acknowledged" : state.toLowerCase();
      return `task ${key.taskId}, attempt ${key.attempt}: ${what}`;
    }),
    ...strayRecordFolders(folders, journal)
      .filter(({ isRunning }) => isRunning)
      .map(({ storeId, taskId }) =>
        storeId === autoStoreId
          ? `the agent's own recovery ${taskId}: running`
          : `task ${taskId}: running, its journal was lost`,
      ),
  ];
}

function refusal(lost: readonly string[]): ResetRefusedError {
  const more = lost.length > named ? [`and ${lost.length - named} more`] : [];
  return new ResetRefusedError(
    [
      ...lost.slice(0, named),
      ...more,
      "nothing was removed: start the agent and let it deliver them, or lose them with --force",
    ].join("\n"),
  );
}

async function stopWhatRuns(
  folders: AgentFolders,
  journal: Journal | undefined,
  log: Logger,
): Promise<void> {
  const { signal } = new AbortController();
  const open = (journal?.entries() ?? []).filter(({ state }) => state === "RUNNING");
  const folderNames = journal
    ? strayRecordFolders(folders, journal).map(({ name }) => name)
    : readdirSync(folders.steps);
  const tags = [
    ...open.map(({ key }) => keyText(key)),
    ...folderNames.map((name) => name.replaceAll(".", ":")),
  ];
  for (const tag of tags) await stopTree({ tag: `${taskVariable}=${tag}`, signal, log });
}

/** Removes all that is in a folder, except one path. */
function empty(folder: string, except: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (path !== except) rmSync(path, { recursive: true, force: true });
  }
}
