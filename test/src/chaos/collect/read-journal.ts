import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Journal, JournalEntry } from "../check/history.js";

/** What a record of the journal's file may hold, as far as the checks need it. */
interface JournalRecord {
  readonly type: string;
  readonly journalId?: string;
  readonly key?: Key;
  readonly entry?: {
    readonly key: Key;
    readonly state: JournalEntry["state"];
    readonly cancel: unknown;
    readonly result: Result | null;
    readonly acknowledgedAtMs: number | null;
  };
  readonly result?: Result;
}

interface Key {
  readonly storeId: string;
  readonly taskId: string;
  readonly attempt: number;
}

interface Result {
  readonly status: string;
  readonly exitCode: number;
  readonly started: boolean;
  readonly tries: number;
  readonly startedUptimeMs: number;
  readonly endedUptimeMs: number;
  readonly stdoutBytes: number;
}

/** Before the JSON of a line stand its check sum, its number and the number up to which all is durable. */
const beforeJson = "00000000 000000000000 000000000000 ".length;

/** Where the agent with this prefix has its journal. */
export function journalFile(prefix: string): string {
  return join(prefix, "data", "journal", "journal");
}

/**
 * Reads an agent's journal as its format says (`agent/src/journal/record-lines.ts`) and with none of the agent's code. A last line
 * that was not finished counts for nothing. The journal of an agent that never started is empty.
 */
export function readJournal(host: string, path: string): Journal {
  const entries = new Map<string, JournalEntry>();
  let journalId = "";
  for (const record of existsSync(path) ? recordsOf(readFileSync(path)) : []) {
    if (record.type === "journal") journalId = record.journalId ?? "";
    const key = record.entry?.key ?? record.key;
    if (key === undefined) continue;
    const name = `${key.storeId}:${key.taskId}:${key.attempt}`;
    const known = entries.get(name);
    if (record.type === "entry") {
      if (known === undefined && record.entry) entries.set(name, whole(key, record.entry));
      continue;
    }
    // A cancel alone leaves a tombstone: no command came.
    if (known !== undefined) entries.set(name, changed(known, record));
  }
  return { host, journalId, entries: [...entries.values()] };
}

function recordsOf(bytes: Buffer): JournalRecord[] {
  const text = bytes.subarray(0, firstZero(bytes)).toString("utf8");
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line.slice(beforeJson)) as JournalRecord);
}

/** The reserve behind the records is zeros. */
function firstZero(bytes: Buffer): number {
  const zero = bytes.indexOf(0);
  return zero < 0 ? bytes.length : zero;
}

function whole(key: Key, entry: NonNullable<JournalRecord["entry"]>): JournalEntry {
  return {
    storeId: key.storeId,
    taskId: Number(key.taskId),
    attempt: key.attempt,
    state: entry.state,
    cancelled: entry.cancel !== null,
    acknowledged: entry.acknowledgedAtMs !== null,
    ...(entry.result && { result: resultOf(entry.result) }),
  };
}

function changed(entry: JournalEntry, record: JournalRecord): JournalEntry {
  switch (record.type) {
    case "start":
      return entry.state === "RECEIVED" ? { ...entry, state: "RUNNING" } : entry;
    case "cancel":
      return { ...entry, cancelled: true };
    case "end":
      if (entry.state === "ENDED" || !record.result) return entry;
      return { ...entry, state: "ENDED", result: resultOf(record.result) };
    case "acknowledged":
      return { ...entry, acknowledged: true };
    default:
      return entry;
  }
}

function resultOf({
  startedUptimeMs,
  endedUptimeMs,
  ...result
}: Result): JournalEntry["result"] & {} {
  const { status, exitCode, started, tries, stdoutBytes } = result;
  return {
    ...{ status, exitCode, started, tries, stdoutBytes },
    ...{ startedMs: startedUptimeMs, endedMs: endedUptimeMs },
  };
}
