import { create } from "@bufbuild/protobuf";
import {
  type AttemptVerdict,
  AttemptVerdictSchema,
  type JournalEntry,
  JournalState,
  Verdict,
} from "@howdah/proto/howdah/v1/agent_registration";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskChange } from "@howdah/proto/howdah/v1/task_change";
import { openStatuses } from "@howdah/state/statuses";
import { attemptKey } from "./attempt-key.js";

/** What follows from a registration. */
export interface Reconciled {
  /** One for each listed attempt, in the same order. */
  readonly verdicts: AttemptVerdict[];
  /** What to send now, in the store's order. */
  readonly commands: ExecutionCommand[];
}

/**
 * Compares what an agent's journal lists with what the store knows. Pure.
 * @param entries the listed attempts
 * @param tasks the store's tasks: those that are open on the host, and the listed ones
 * @param commands the commands of the QUEUED ones
 */
export function reconcile(
  entries: readonly JournalEntry[],
  tasks: readonly TaskChange[],
  commands: readonly ExecutionCommand[],
): Reconciled {
  const byId = new Map(tasks.map((task) => [task.taskId, task]));
  const listed = new Set(entries.map(attemptKey));
  return {
    verdicts: entries.map((entry) => {
      const { taskId, attempt } = entry;
      return create(AttemptVerdictSchema, {
        taskId,
        attempt,
        ...verdictOf(entry, byId.get(taskId)),
      });
    }),
    // What the agent has in its journal is never sent again, whatever the store says.
    commands: commands.filter((command) => !listed.has(attemptKey(command))),
  };
}

function verdictOf(
  { attempt, state }: JournalEntry,
  task: TaskChange | undefined,
): { verdict: Verdict; reason?: string } {
  if (state === JournalState.ENDED) {
    // The result of a former attempt still belongs to that attempt's record. One that the store has already is answered
    // with how much of its output is stored: the ack may have been lost before the last bytes came through.
    const known = task !== undefined && attempt <= task.attempt;
    return { verdict: known ? Verdict.REPORT : Verdict.FORGET };
  }
  if (state !== JournalState.RECEIVED && state !== JournalState.RUNNING) {
    return cancel("its state in the journal is not known here");
  }
  const running = state === JournalState.RUNNING;
  if (task === undefined) {
    return running ? cancel("the store does not know the task") : { verdict: Verdict.FORGET };
  }
  if (attempt !== task.attempt) return cancel(`the task is at attempt ${task.attempt}`);
  if (task.cancelRequested) return cancel("a cancel was asked for");
  if (task.status === Status.UNKNOWN && !running) {
    // It counted as failed, and what followed was decided on that: it must not start of itself any more.
    return cancel("it was given up for lost before it started");
  }
  if (openStatuses.has(task.status)) return { verdict: Verdict.KEEP };
  // It was taken back as never sent, and will come again in the same attempt.
  if (task.status === Status.PENDING && !running) return { verdict: Verdict.FORGET };
  return cancel(`the task is ${Status[task.status]}`);
}

function cancel(reason: string) {
  return { verdict: Verdict.CANCEL, reason };
}
