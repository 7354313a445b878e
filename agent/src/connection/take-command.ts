import { toJson } from "@bufbuild/protobuf";
import { AckResult } from "@howdah/proto/howdah/v1/agent_service";
import { type ExecutionCommand, ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import type { Logger } from "pino";
import type { JournalEntry } from "../journal/entry.js";
import type { AcceptAnswer, Journal } from "../journal/journal.js";
import { JournalBrokenError, JournalFullError } from "../journal/journal-file.js";
import type { Json } from "../json.js";
import type { CommandQueue } from "../run/queue.js";
import { type TaskKey, TaskKeyError } from "../task-key.js";

/** What taking a command needs. */
export interface TakeCommandOptions {
  readonly journal: Journal;
  readonly queue: CommandQueue;
  readonly log: Logger;
}

/** What to answer. */
export interface Taken {
  readonly result: AckResult;
  /** For people; empty when it was accepted. */
  readonly reason: string;
  /** It came for the first time: if it is short, its report says soon that it was accepted. */
  readonly isNew: boolean;
  /** What is known of a command that was sent again, unless it waits to be run: to be reported again. */
  readonly again: JournalEntry | undefined;
}

/**
 * Gives a command to the journal and the queue. Resolves when it is on disk, or refused; a refusal leaves no trace, so it is all that
 * the server hears of the command. Rejects when the journal cannot be written any more.
 */
export async function takeCommand(
  command: ExecutionCommand,
  key: TaskKey,
  { journal, queue, log }: TakeCommandOptions,
): Promise<Taken> {
  try {
    if (command.cancelRequested) await queue.cancel(key, "the request was cancelled");
    const answer = await queue.accept(key, toJson(ExecutionCommandSchema, command) as Json);
    const known = answer === "known" ? journal.entry(key) : undefined;
    const again = known?.state === "RECEIVED" ? undefined : known;
    const { result, reason } = ackOf(answer, key);
    return { result, reason, isNew: answer === "accepted", again };
  } catch (error) {
    if (error instanceof JournalBrokenError) throw error;
    const expected = error instanceof JournalFullError || error instanceof TaskKeyError;
    const reason = (error as Error).message;
    const fields = { task: key.taskId, attempt: key.attempt, reason };
    log.error(expected ? fields : { ...fields, err: error }, "a command was refused");
    return { result: AckResult.REFUSED, reason, isNew: false, again: undefined };
  }
}

function ackOf(answer: AcceptAnswer, { taskId }: TaskKey): Pick<Taken, "result" | "reason"> {
  switch (answer) {
    case "attempt-alive":
      return {
        result: AckResult.ATTEMPT_ALIVE,
        reason: `another attempt of task ${taskId} has not ended`,
      };
    case "superseded":
      return {
        result: AckResult.REFUSED,
        reason: `a later attempt of task ${taskId} came before`,
      };
    default:
      return { result: AckResult.ACCEPTED, reason: "" };
  }
}
