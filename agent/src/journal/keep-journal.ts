import type { Json } from "../json.js";
import { bootId, uptimeMs } from "../process-table.js";
import { keyText, type TaskKey } from "../task-key.js";
import {
  applyRecord,
  type CommandResult,
  cutText,
  type JournalEntry,
  type JournalRecord,
  type JournalState,
  promisedBytes,
  roomPerCommand,
  snapshotRecords,
} from "./entry.js";
import type { AcceptAnswer, Journal } from "./journal.js";

/** How long an acknowledged result is kept when nothing else is said: seven days. */
export const keptAcknowledgedMs = 7 * 24 * 3_600_000;

/** How long a journal remembers. */
export interface KeepOptions {
  /** How long an acknowledged result and an unused tombstone are kept. Default seven days. */
  readonly keepMs?: number;
  /** The wall clock; tests set it. */
  readonly now?: () => number;
  /** Told the keys that were dropped after `keepMs`, so that their other files can go too. */
  readonly onForgotten?: (keys: readonly TaskKey[]) => void;
}

/** Where a journal's records go. */
export interface RecordLog {
  /** Makes sure of room for a record, and for so many bytes that may follow it. Throws when there is none. */
  makeRoom(record: JournalRecord, following: number): void;
  /** Resolves when the record is safe. */
  append(record: JournalRecord): Promise<void>;
  /** How often records were made safe. */
  syncs(): number;
  close(): Promise<void>;
}

/** What a journal knows, in memory. */
export interface KeptState {
  readonly state: JournalState;
  /** The wall clock. */
  now(): number;
  /** Every attempt known of the tasks with this number, whichever store's, in the order received. */
  attempts(taskId: string): JournalEntry[];
  apply(text: string, change: JournalRecord): void;
  /** The records that stand for it, without what is no longer needed. */
  snapshot(): JournalRecord[];
  /** Bytes promised to records that are still to come. */
  promisedBytes(): number;
  /** Drops what is no longer needed; returns how many attempts that were. */
  dropForgotten(): number;
}

/** Keeps a state: what the records of a former run left, or nothing. */
export function keepState(state: JournalState, options: KeepOptions): KeptState {
  const keepMs = options.keepMs ?? keptAcknowledgedMs;
  const now = options.now ?? Date.now;
  // The texts of the attempts by the tasks' numbers, with spaces between: nearly always one, and then not even a copy of it.
  const byTask = new Map<string, string>();
  let promised = 0;
  for (const [text, entry] of state.entries) {
    promised += promisedBytes(entry);
    index(text, entry.key);
  }

  function index(text: string, { taskId }: TaskKey): void {
    const others = byTask.get(taskId);
    byTask.set(taskId, others === undefined ? text : `${others} ${text}`);
  }

  function dropFromIndex(text: string, { taskId }: TaskKey): void {
    const others = textsOf(taskId).filter((one) => one !== text);
    if (others.length === 0) byTask.delete(taskId);
    else byTask.set(taskId, others.join(" "));
  }

  function textsOf(taskId: string): readonly string[] {
    return byTask.get(taskId)?.split(" ") ?? [];
  }

  function dropForgotten(): number {
    const forgotten: TaskKey[] = [];
    const oldest = now() - keepMs;
    for (const [text, entry] of state.entries) {
      if (isNeeded(entry, now(), keepMs)) continue;
      const { key } = entry;
      state.entries.delete(text);
      dropFromIndex(text, key);
      forgotten.push(key);
    }
    for (const [text, { cancel }] of state.tombstones) {
      if (cancel.atMs <= oldest) state.tombstones.delete(text);
    }
    if (forgotten.length > 0) options.onForgotten?.(forgotten);
    return forgotten.length;
  }

  return {
    ...{ state, now, dropForgotten },
    attempts: (taskId) => textsOf(taskId).flatMap((text) => state.entries.get(text) ?? []),
    apply(text, change) {
      const before = state.entries.get(text);
      applyRecord(state, change, text);
      const after = state.entries.get(text);
      if (before === undefined && after !== undefined) index(text, after.key);
      promised += (after ? promisedBytes(after) : 0) - (before ? promisedBytes(before) : 0);
    },
    snapshot() {
      dropForgotten();
      return snapshotRecords(state);
    },
    promisedBytes: () => promised,
  };
}

/** A journal over what is kept and a log of what changes it. */
export function keepJournal(kept: KeptState, log: RecordLog): Journal {
  const { state, now } = kept;

  /** Appends and applies at once: a second call that comes while the first is being written already sees it. */
  function record(text: string, change: JournalRecord): Promise<void> {
    kept.apply(text, change);
    return log.append(change);
  }

  function known(text: string): JournalEntry {
    const entry = state.entries.get(text);
    if (!entry) throw new Error(`the journal does not know ${text}`);
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
    const others = kept.attempts(key.taskId).filter((one) => one.key.storeId === key.storeId);
    if (others.some((one) => one.key.attempt > key.attempt)) return "superseded";
    if (others.some(({ state }) => state !== "ENDED")) return "attempt-alive";
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
    log.makeRoom(change, roomPerCommand);
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
    if (!entry) log.makeRoom(change, 0);
    await durably(text, record(text, change));
    return entry?.state;
  }

  return {
    journalId: state.journalId,
    agentId: state.agentId,
    entries: () => [...state.entries.values()],
    entry: (key) => state.entries.get(keyText(key)),
    attempts: kept.attempts,
    accept,
    tombstone,
    started: async (key) => {
      const text = keyText(key);
      if (known(text).state !== "RECEIVED") return;
      const start = { atMs: now(), uptimeMs: uptimeMs(), bootId: bootId() };
      await record(text, { type: "start", key, start });
    },
    ended: async (key, result) => {
      const text = keyText(key);
      if (known(text).state === "ENDED") return written.get(text);
      const cut = { ...result, reason: cutText(result.reason) };
      await durably(text, record(text, { type: "end", key, result: cut }));
    },
    acknowledged: async (key) => {
      const text = keyText(key);
      const entry = known(text);
      if (entry.result === null) {
        throw new Error(`${text} has not ended: there is no result to acknowledge`);
      }
      if (entry.acknowledgedAtMs !== null) return;
      await record(text, { type: "acknowledged", key, atMs: now() });
    },
    filesMoved: async (key, suffix) => {
      const text = keyText(key);
      known(text);
      await record(text, { type: "files", key, suffix });
    },
    syncs: log.syncs,
    close: log.close,
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
