import type { Json } from "../json.js";
import type { TaskKey } from "../task-key.js";
import type { CommandResult, JournalEntry } from "./entry.js";

/**
 * What became of a command that was given to the journal.
 * accepted: it is on disk, run it. known: it was there before, don't run it again. cancelled: a cancel came first; it is
 * recorded as ABORTED and never runs. attempt-alive: another attempt of the task has not ended. superseded: a later
 * attempt of the task is known already, this one is late. The last two leave no trace.
 */
export type AcceptAnswer = "accepted" | "known" | "cancelled" | "attempt-alive" | "superseded";

/** The agent's durable record of what it was sent, started and finished. All calls resolve when it is on disk. */
export interface Journal {
  /** Random, made with the journal: another one tells the server that what it knew of this agent's work is gone. */
  readonly journalId: string;
  /** Random, made at the agent's first start; outlives the journal. */
  readonly agentId: string;
  /** Every attempt known, in the order received: those of seven days, so not to be looked through for each command. */
  entries(): readonly JournalEntry[];
  entry(key: TaskKey): JournalEntry | undefined;
  /** Every attempt known of the tasks with this number, whichever store's, in the order received. */
  attempts(taskId: string): readonly JournalEntry[];
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
