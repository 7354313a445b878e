import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import { takeInstanceLock } from "../instance-lock.js";
import type { Json } from "../json.js";
import { bootId, uptimeMs } from "../process-table.js";
import { keyText, type TaskKey } from "../task-key.js";
import { readAgentId } from "./agent-id.js";
import {
  applyRecord,
  asJson,
  asRecord,
  type CommandResult,
  cutText,
  emptyState,
  type JournalEntry,
  type JournalRecord,
  type JournalState,
  promisedBytes,
  roomPerCommand,
  snapshotRecords,
} from "./entry.js";
import {
  type JournalFileOptions,
  openJournalFile,
  syncFolder,
  writeJournalFile,
} from "./journal-file.js";
import { type JournalScan, lineBytes, scanJournal } from "./record-lines.js";

/** Thrown when records that were safe can't be read any more; names the file and the offset. */
export class JournalDamagedError extends Error {
  override readonly name = "JournalDamagedError";
}

/**
 * What became of a command that was given to the journal.
 * accepted: it is on disk, run it. known: it was there before, don't run it again. cancelled: a cancel came first; it is
 * recorded as ABORTED and never runs. attempt-alive: another attempt of the task has not ended. superseded: a later
 * attempt of the task is known already, this one is late. The last two leave no trace.
 */
export type AcceptAnswer = "accepted" | "known" | "cancelled" | "attempt-alive" | "superseded";

/** How long an acknowledged result is kept when nothing else is said: seven days. */
export const keptAcknowledgedMs = 7 * 24 * 3_600_000;

/** Settings of a journal. */
export interface JournalOptions extends JournalFileOptions {
  /** How long an acknowledged result and an unused tombstone are kept. Default seven days. */
  readonly keepMs?: number;
  /** The wall clock; tests set it. */
  readonly now?: () => number;
  /** Told the keys that were dropped after `keepMs`, so that their other files can go too. */
  readonly onForgotten?: (keys: readonly TaskKey[]) => void;
}

/** The agent's durable record of what it was sent, started and finished. All calls resolve when it is on disk. */
export interface Journal {
  /** Random, made with the journal: another one tells the server that what it knew of this agent's work is gone. */
  readonly journalId: string;
  /** Random, made at the agent's first start; outlives the journal. */
  readonly agentId: string;
  /** Every attempt known, in the order received. */
  entries(): readonly JournalEntry[];
  entry(key: TaskKey): JournalEntry | undefined;
  /** Rejects with `JournalFullError`, having kept nothing, when the disk has no room for the command and its result. */
  accept(key: TaskKey, command: Json): Promise<AcceptAnswer>;
  /** From here on the attempt counts as running; to be awaited before its first step. */
  started(key: TaskKey): Promise<void>;
  /** To be awaited before the result is reported. Never for lack of room: that was promised with `accept`. */
  ended(key: TaskKey, result: CommandResult): Promise<void>;
  acknowledged(key: TaskKey): Promise<void>;
  /** Records a cancel, also of a command that has not come. Returns the attempt's state, undefined if it is unknown. */
  tombstone(key: TaskKey, reason: string): Promise<JournalEntry["state"] | undefined>;
  /** Records that a later attempt took the names of this one's files, which now end with `suffix`. */
  filesMoved(key: TaskKey, suffix: string): Promise<void>;
  /** How often the file was synced: fewer than the calls above, for those made together share one. */
  syncs(): number;
  /** Waits for what is being written, closes the file and gives up the prefix. */
  close(): Promise<void>;
}

/**
 * Opens the journal below `folders`, or makes one, and takes the prefix for this process. Throws `PrefixInUseError`;
 * `JournalDamagedError` when safe records are lost in the middle of the file. A file of which nothing can be read is set
 * aside as `journal.unreadable-TIME` and a new journal begins.
 */
export async function openJournal(
  folders: AgentFolders,
  log: Logger,
  options: JournalOptions = {},
): Promise<Journal> {
  const unlock = takeInstanceLock(folders);
  try {
    return await openLocked(folders, log, options, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openLocked(
  folders: AgentFolders,
  log: Logger,
  options: JournalOptions,
  unlock: () => void,
): Promise<Journal> {
  const keepMs = options.keepMs ?? keptAcknowledgedMs;
  const now = options.now ?? Date.now;
  const path = join(folders.journal, "journal");
  const scan = readOrMake(path, folders, log, now);
  const state: JournalState = emptyState();
  for (const { value } of scan.records) applyRecord(state, asRecord(value));
  /** The latest attempt of each task: the only one that may not have ended. */
  const latest = new Map<string, JournalEntry["key"]>();
  let promised = 0;
  for (const entry of state.entries.values()) {
    promised += promisedBytes(entry);
    latest.set(taskText(entry.key), entry.key);
  }

  const file = openJournalFile(path, scan, { snapshot, promisedBytes: () => promised }, options);
  if (dropForgotten() > 0) await file.compact();

  function dropForgotten(): number {
    const forgotten: TaskKey[] = [];
    const oldest = now() - keepMs;
    for (const [text, entry] of state.entries) {
      if (isNeeded(entry, now(), keepMs)) continue;
      const { key } = entry;
      state.entries.delete(text);
      if (latest.get(taskText(key))?.attempt === key.attempt) latest.delete(taskText(key));
      forgotten.push(key);
    }
    for (const [text, { cancel }] of state.tombstones) {
      if (cancel.atMs <= oldest) state.tombstones.delete(text);
    }
    if (forgotten.length > 0) options.onForgotten?.(forgotten);
    return forgotten.length;
  }

  function snapshot() {
    dropForgotten();
    return snapshotRecords(state).map(asJson);
  }

  /** Appends and applies at once: a second call that comes while the first is being written already sees it. */
  function record(text: string, change: JournalRecord): Promise<void> {
    const before = state.entries.get(text);
    applyRecord(state, change);
    const after = state.entries.get(text);
    promised += (after ? promisedBytes(after) : 0) - (before ? promisedBytes(before) : 0);
    return file.append(asJson(change));
  }

  function known(key: TaskKey): JournalEntry {
    const entry = state.entries.get(keyText(key));
    if (!entry) throw new Error(`the journal does not know ${keyText(key)}`);
    return entry;
  }

  /** Records written before resolve before: so waiting for this one waits for them. */
  const written = new Map<string, Promise<void>>();
  function durably(text: string, done: Promise<void>): Promise<void> {
    written.set(text, done);
    const forget = () => {
      if (written.get(text) === done) written.delete(text);
    };
    done.then(forget, forget);
    return done;
  }

  async function accept(key: TaskKey, command: Json): Promise<AcceptAnswer> {
    const text = keyText(key);
    if (state.entries.has(text)) {
      await written.get(text);
      return "known";
    }
    const other = latest.get(taskText(key));
    if (other && other.attempt > key.attempt) return "superseded";
    if (other && known(other).state !== "ENDED") return "attempt-alive";
    const cancel = state.tombstones.get(text)?.cancel ?? null;
    const entry: JournalEntry = {
      key,
      command,
      receivedAtMs: now(),
      state: cancel ? "ENDED" : "RECEIVED",
      start: null,
      cancel,
      result: cancel ? neverStarted(cancel.reason, now()) : null,
      acknowledgedAtMs: null,
      fileSuffix: "",
    };
    const change: JournalRecord = { type: "entry", entry };
    file.makeRoom(lineBytes(JSON.stringify(change)) + roomPerCommand);
    latest.set(taskText(key), key);
    await durably(text, record(text, change));
    return cancel ? "cancelled" : "accepted";
  }

  async function tombstone(key: TaskKey, reason: string) {
    const text = keyText(key);
    const entry = state.entries.get(text);
    if (entry?.state === "ENDED" || entry?.cancel || state.tombstones.has(text)) {
      await written.get(text);
      return entry?.state;
    }
    const cancel = { atMs: now(), reason: cutText(reason) };
    const change: JournalRecord = { type: "cancel", key, cancel };
    if (!entry) file.makeRoom(lineBytes(JSON.stringify(change)));
    await durably(text, record(text, change));
    return entry?.state;
  }

  return {
    journalId: state.journalId,
    agentId: state.agentId,
    entries: () => [...state.entries.values()],
    entry: (key) => state.entries.get(keyText(key)),
    accept,
    tombstone,
    started: async (key) => {
      if (known(key).state !== "RECEIVED") return;
      const start = { atMs: now(), uptimeMs: uptimeMs(), bootId: bootId() };
      await record(keyText(key), { type: "start", key, start });
    },
    ended: async (key, result) => {
      const text = keyText(key);
      if (known(key).state === "ENDED") return written.get(text);
      const cut = { ...result, reason: cutText(result.reason) };
      await durably(text, record(text, { type: "end", key, result: cut }));
    },
    acknowledged: async (key) => {
      const entry = known(key);
      if (entry.result === null) {
        throw new Error(`${keyText(key)} has not ended: there is no result to acknowledge`);
      }
      if (entry.acknowledgedAtMs !== null) return;
      await record(keyText(key), { type: "acknowledged", key, atMs: now() });
    },
    filesMoved: async (key, suffix) => {
      known(key);
      await record(keyText(key), { type: "files", key, suffix });
    },
    syncs: file.syncs,
    close: async () => {
      await file.close();
      unlock();
    },
  };
}

/** Whether an attempt may still be asked for: it is not acknowledged, or was of late. */
export function isNeeded(
  { acknowledgedAtMs, result }: JournalEntry,
  nowMs: number,
  keepMs = keptAcknowledgedMs,
): boolean {
  if (acknowledgedAtMs === null || acknowledgedAtMs > nowMs - keepMs) return true;
  // The wall clock may have been set meanwhile; the one since boot tells the truth as long as it was not begun anew.
  return result?.bootId === bootId() && uptimeMs() - result.endedUptimeMs <= keepMs;
}

/** Reads the file; makes it when it is missing or can't be read at all. */
function readOrMake(
  path: string,
  folders: AgentFolders,
  log: Logger,
  now: () => number,
): JournalScan {
  if (existsSync(path)) {
    const scan = readJournal(path, log);
    if (scan) return scan;
    const aside = `${path}.unreadable-${now()}`;
    renameSync(path, aside);
    syncFolder(folders.journal);
    log.error({ aside }, `the journal ${path} can't be read and was set aside: a new one begins`);
  }
  const header: JournalRecord = {
    type: "journal",
    journalId: randomUUID(),
    agentId: readAgentId(folders),
  };
  writeJournalFile(path, [asJson(header)], 64 * 1024);
  return scanJournal(readFileSync(path));
}

function readJournal(path: string, log: Logger): JournalScan | undefined {
  let scan: JournalScan;
  try {
    scan = scanJournal(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
    return undefined;
  }
  if (scan.records[0]?.value.type !== "journal") return undefined;
  if (scan.tail === "damaged") {
    throw new JournalDamagedError(
      `the journal ${path} is damaged at offset ${scan.endOffset}, before records that were safe: restore the file, or move it away to begin a new journal (the server then treats this host's open tasks as unknown)`,
    );
  }
  if (scan.tail === "torn") {
    log.warn(
      { path, offset: scan.endOffset, records: scan.records.length },
      "the journal's last write was not finished: it ends at the last good record",
    );
  }
  return scan;
}

function taskText({ storeId, taskId }: TaskKey): string {
  return `${storeId}:${taskId}`;
}

function neverStarted(reason: string, atMs: number): CommandResult {
  const uptime = uptimeMs();
  return {
    status: "ABORTED",
    exitCode: 1,
    reason,
    started: false,
    tries: 0,
    startedAtMs: atMs,
    endedAtMs: atMs,
    startedUptimeMs: uptime,
    endedUptimeMs: uptime,
    bootId: bootId(),
    stdoutBytes: 0,
    stderrBytes: 0,
    structuredOutBytes: 0,
  };
}
