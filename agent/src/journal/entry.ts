import type { Json, JsonObject } from "../json.js";
import { keyText, type TaskKey } from "../task-key.js";

/**
 * How an attempt ended. COMPLETED: exit code 0 of every step. FAILED: another exit code, or it could not run. TIMEDOUT:
 * stopped at its time-out. ABORTED: a cancel stopped it, or kept it from starting. INTERRUPTED: it started, and what
 * watched it is gone without a word (the host went down); it is never run again in this attempt.
 */
export type ResultStatus = "COMPLETED" | "FAILED" | "TIMEDOUT" | "ABORTED" | "INTERRUPTED";

/** The terminal result of an attempt. */
export interface CommandResult {
  readonly status: ResultStatus;
  /** The script's; 128 + n when signal n ended it; 999 for a time-out and 1 for a command that could not run, as in Ambari. */
  readonly exitCode: number;
  /** One line that says why; empty when COMPLETED. At most 300 characters are kept. */
  readonly reason: string;
  /** Whether any step started. */
  readonly started: boolean;
  /** Tries in place that started. */
  readonly tries: number;
  /** Wall clock, for display only. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** The clock since boot, for ages; holds only together with `bootId`. */
  readonly startedUptimeMs: number;
  readonly endedUptimeMs: number;
  readonly bootId: string;
  /** Final lengths: what is uploaded is the file up to here. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly structuredOutBytes: number;
}

/** When and in which boot an attempt began to run. */
export interface EntryStart {
  readonly atMs: number;
  readonly uptimeMs: number;
  readonly bootId: string;
}

/** A cancel. */
export interface EntryCancel {
  readonly atMs: number;
  readonly reason: string;
}

/** What the journal knows of one attempt. */
export interface JournalEntry {
  readonly key: TaskKey;
  /** As it was given; null once the result is acknowledged, for it is kept for days and nobody needs it. */
  readonly command: Json;
  readonly receivedAtMs: number;
  readonly state: "RECEIVED" | "RUNNING" | "ENDED";
  readonly start: EntryStart | null;
  readonly cancel: EntryCancel | null;
  readonly result: CommandResult | null;
  readonly acknowledgedAtMs: number | null;
  /** Follows the names of the attempt's files in data/: empty until a later attempt takes the names, then `.k`. */
  readonly fileSuffix: string;
}

/** A cancel whose command has not come (yet). */
export interface Tombstone {
  readonly key: TaskKey;
  readonly cancel: EntryCancel;
}

/** Room promised to the records that follow an accepted command: start, files, cancel, end, acknowledgement. */
export const roomPerCommand = 6 * 1024;
const roomForAcknowledgement = 512;
const keptCharacters = 300;

/** Bytes that records still to come of this entry may take. */
export function promisedBytes(entry: JournalEntry): number {
  if (entry.acknowledgedAtMs !== null) return 0;
  return entry.result === null ? roomPerCommand : roomForAcknowledgement;
}

/** Cuts a text so that it fits the room its record was promised, however it is escaped. */
export function cutText(text: string): string {
  return text.length <= keptCharacters ? text : `${text.slice(0, keptCharacters - 1)}…`;
}

/** A record of the journal file. */
export type JournalRecord =
  | { readonly type: "journal"; readonly journalId: string; readonly agentId: string }
  | { readonly type: "entry"; readonly entry: JournalEntry }
  | { readonly type: "start"; readonly key: TaskKey; readonly start: EntryStart }
  | { readonly type: "cancel"; readonly key: TaskKey; readonly cancel: EntryCancel }
  | { readonly type: "end"; readonly key: TaskKey; readonly result: CommandResult }
  | { readonly type: "acknowledged"; readonly key: TaskKey; readonly atMs: number }
  | { readonly type: "files"; readonly key: TaskKey; readonly suffix: string };

/** What all records together say. */
export interface JournalState {
  journalId: string;
  agentId: string;
  /** In the order received. */
  readonly entries: Map<string, JournalEntry>;
  readonly tombstones: Map<string, Tombstone>;
}

/** A state that knows nothing. */
export function emptyState(): JournalState {
  return { journalId: "", agentId: "", entries: new Map(), tombstones: new Map() };
}

/**
 * Applies one record. Applying one again changes nothing: a rewritten file may be followed by records it holds already.
 * @param text of the attempt's key, where it is known: then that is the one that is kept
 */
export function applyRecord(state: JournalState, record: JournalRecord, text = textOf(record)) {
  if (record.type === "journal") {
    state.journalId = record.journalId;
    state.agentId = record.agentId;
    return;
  }
  if (record.type === "entry") {
    state.tombstones.delete(text);
    if (!state.entries.has(text)) state.entries.set(text, record.entry);
    return;
  }
  const entry = state.entries.get(text);
  if (!entry) {
    if (record.type === "cancel") {
      state.tombstones.set(text, { key: record.key, cancel: record.cancel });
    }
    return;
  }
  state.entries.set(text, changed(entry, record));
}

function textOf(record: JournalRecord): string {
  if (record.type === "journal") return "";
  return keyText(record.type === "entry" ? record.entry.key : record.key);
}

function changed(
  entry: JournalEntry,
  record: Exclude<JournalRecord, { type: "journal" | "entry" }>,
): JournalEntry {
  switch (record.type) {
    case "start":
      return entry.state === "RECEIVED"
        ? { ...entry, state: "RUNNING", start: record.start }
        : entry;
    case "cancel":
      return entry.cancel || entry.state === "ENDED" ? entry : { ...entry, cancel: record.cancel };
    case "end":
      return entry.state === "ENDED" ? entry : { ...entry, state: "ENDED", result: record.result };
    case "acknowledged":
      if (entry.acknowledgedAtMs !== null) return entry;
      return { ...entry, command: null, acknowledgedAtMs: record.atMs };
    case "files":
      return { ...entry, fileSuffix: record.suffix };
  }
}

/** The records that stand for a state. */
export function snapshotRecords(state: JournalState): JournalRecord[] {
  const records: JournalRecord[] = [
    { type: "journal", journalId: state.journalId, agentId: state.agentId },
  ];
  for (const entry of state.entries.values()) {
    records.push({ type: "entry", entry });
  }
  for (const { key, cancel } of state.tombstones.values()) {
    records.push({ type: "cancel", key, cancel });
  }
  return records;
}

/** A record as JSON holds it. */
export function asJson(record: JournalRecord): JsonObject {
  return record as unknown as JsonObject;
}

/** The record that `asJson` gave; a file whose lines pass their check was written by us. */
export function asRecord(json: JsonObject): JournalRecord {
  return json as unknown as JournalRecord;
}
