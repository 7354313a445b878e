import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { TaskStatus } from "./statuses.js";

/** What a task's request says about failures, and what else bears on the next status. */
export interface Policy {
  /** What a failure becomes once no attempt is left. */
  readonly onFailure: OnFailure;
  /** How many attempts the task may have in all; 1 for no retry. */
  readonly maxAttempts: number;
  /** How many attempts the task may have in all when it is INTERRUPTED; `maxAttempts` when absent or lower than that. */
  readonly maxInterruptedAttempts?: number;
  /** The events after which a further attempt is made while attempts are left. */
  readonly retryOn: ReadonlySet<TaskEvent>;
  /** A step that a person does: releasing it makes it wait. */
  readonly manual: boolean;
}

/** Where the task is now. */
export interface TaskState {
  readonly status: TaskStatus;
  /** From 1. */
  readonly attempt: number;
  /** A cancel was asked for that the agent has not answered. */
  readonly cancelRequested: boolean;
  /** The request is over or being cancelled: nothing of it is released any more. */
  readonly requestOver: boolean;
}

/** What follows from an event. */
export type Outcome =
  /** The task moves. `attempt` is its attempt from then on. */
  | { readonly kind: "move"; readonly status: TaskStatus; readonly attempt: number }
  /** The status stays; a cancel is remembered. */
  | { readonly kind: "cancel-requested" }
  /** Nothing to change: it is so already, or a former word stands. */
  | { readonly kind: "known" }
  /** The event cannot happen in this status. */
  | { readonly kind: "refused" };

/** What an event does in a status, before policy is asked. */
type Rule = TaskStatus | "release" | "failure" | "retry" | "cancel" | "back" | "known";

const release = "release" as const;
const failure = "failure" as const;
const retry = "retry" as const;
const cancel = "cancel" as const;
const back = "back" as const;
const known = "known" as const;

/** What an agent's word does while the task is open. */
const ends = {
  [TaskEvent.SUCCEEDED]: Status.COMPLETED,
  [TaskEvent.FAILED]: failure,
  [TaskEvent.TIMED_OUT]: failure,
  [TaskEvent.INTERRUPTED]: failure,
  [TaskEvent.CANCELLED]: Status.ABORTED,
} as const;

/** A late or repeated word about a task whose status is final: the final status stands. */
const stands = {
  [TaskEvent.STARTED]: known,
  [TaskEvent.SUCCEEDED]: known,
  [TaskEvent.FAILED]: known,
  [TaskEvent.TIMED_OUT]: known,
  [TaskEvent.INTERRUPTED]: known,
  [TaskEvent.NEVER_STARTED]: known,
  [TaskEvent.CANCELLED]: known,
  [TaskEvent.DEADLINE_PASSED]: known,
  [TaskEvent.JOURNAL_LOST]: known,
} as const;

const retriable = { ...stands, [TaskEvent.RETRIED]: retry } as const;

/** The table: status, event, what follows. An event that is not named cannot happen in that status. */
export const table: Readonly<Record<TaskStatus, Readonly<Partial<Record<TaskEvent, Rule>>>>> = {
  [Status.PENDING]: {
    [TaskEvent.RELEASED]: release,
    [TaskEvent.GIVEN_UP]: Status.ABORTED,
  },
  [Status.QUEUED]: {
    ...ends,
    [TaskEvent.RELEASED]: known,
    [TaskEvent.STARTED]: Status.IN_PROGRESS,
    [TaskEvent.NEVER_STARTED]: back,
    [TaskEvent.CANCEL_REQUESTED]: cancel,
    [TaskEvent.DEADLINE_PASSED]: Status.UNKNOWN,
    [TaskEvent.JOURNAL_LOST]: Status.UNKNOWN,
  },
  [Status.IN_PROGRESS]: {
    ...ends,
    [TaskEvent.STARTED]: known,
    [TaskEvent.CANCEL_REQUESTED]: cancel,
    [TaskEvent.DEADLINE_PASSED]: Status.UNKNOWN,
    [TaskEvent.JOURNAL_LOST]: Status.UNKNOWN,
  },
  [Status.UNKNOWN]: {
    ...ends,
    [TaskEvent.STARTED]: known,
    [TaskEvent.NEVER_STARTED]: back,
    [TaskEvent.CANCEL_REQUESTED]: cancel,
    [TaskEvent.DEADLINE_PASSED]: known,
    [TaskEvent.JOURNAL_LOST]: known,
    [TaskEvent.RETRIED]: retry,
  },
  [Status.HOLDING]: {
    [TaskEvent.RESOLVED_SKIP]: Status.COMPLETED,
    [TaskEvent.RESOLVED_ABORT]: Status.ABORTED,
  },
  [Status.HOLDING_FAILED]: {
    ...stands,
    [TaskEvent.RESOLVED_RETRY]: retry,
    [TaskEvent.RESOLVED_SKIP]: Status.FAILED,
    [TaskEvent.RESOLVED_ABORT]: Status.ABORTED,
  },
  [Status.HOLDING_TIMEDOUT]: {
    ...stands,
    [TaskEvent.RESOLVED_RETRY]: retry,
    [TaskEvent.RESOLVED_SKIP]: Status.TIMEDOUT,
    [TaskEvent.RESOLVED_ABORT]: Status.ABORTED,
  },
  [Status.COMPLETED]: stands,
  [Status.FAILED]: retriable,
  [Status.TIMEDOUT]: retriable,
  [Status.ABORTED]: { ...retriable, [TaskEvent.GIVEN_UP]: known },
  [Status.SKIPPED_FAILED]: retriable,
};

/** What a failure becomes once no attempt is left. Nobody is asked about a task that nothing can follow: it is not held. */
function failed(event: TaskEvent, onFailure: OnFailure, stopped: boolean): TaskStatus {
  const timedOut = event === TaskEvent.TIMED_OUT;
  switch (stopped && onFailure === OnFailure.HOLD ? OnFailure.CONTINUE : onFailure) {
    case OnFailure.HOLD:
      return timedOut ? Status.HOLDING_TIMEDOUT : Status.HOLDING_FAILED;
    case OnFailure.SKIP:
      return Status.SKIPPED_FAILED;
    default:
      return timedOut ? Status.TIMEDOUT : Status.FAILED;
  }
}

function attemptsLeft(attempt: number, event: TaskEvent, policy: Policy): boolean {
  const { maxAttempts, maxInterruptedAttempts = 0 } = policy;
  const most = event === TaskEvent.INTERRUPTED ? maxInterruptedAttempts : 0;
  return attempt < Math.max(maxAttempts, most);
}

/**
 * What follows when `event` happens to a task: the only place where a status is decided. Pure.
 *
 * - A failure makes a further attempt while attempts are left and the policy names the event, unless a cancel was asked for or
 *   the request is over: a late word revives nothing, and holds nothing.
 * - Proof that a task never started sends it back to PENDING in the same attempt, or to ABORTED when a cancel was asked for
 *   or its request is over.
 */
export function transition(task: TaskState, event: TaskEvent, policy: Policy): Outcome {
  const rule = table[task.status][event];
  const { attempt } = task;
  const stopped = task.cancelRequested || task.requestOver;
  switch (rule) {
    case undefined:
      return { kind: "refused" };
    case known:
      return { kind: "known" };
    case cancel:
      return task.cancelRequested ? { kind: "known" } : { kind: "cancel-requested" };
    case release:
      return { kind: "move", status: policy.manual ? Status.HOLDING : Status.QUEUED, attempt };
    case back:
      return { kind: "move", status: stopped ? Status.ABORTED : Status.PENDING, attempt };
    case retry:
      return { kind: "move", status: Status.PENDING, attempt: attempt + 1 };
    case failure:
      return !stopped && policy.retryOn.has(event) && attemptsLeft(attempt, event, policy)
        ? { kind: "move", status: Status.PENDING, attempt: attempt + 1 }
        : { kind: "move", status: failed(event, policy.onFailure, stopped), attempt };
    default:
      return { kind: "move", status: rule, attempt };
  }
}

/** The events that an agent may report; all others are the server's or a person's. */
export const agentEvents: ReadonlySet<TaskEvent> = new Set([
  TaskEvent.STARTED,
  TaskEvent.SUCCEEDED,
  TaskEvent.FAILED,
  TaskEvent.TIMED_OUT,
  TaskEvent.INTERRUPTED,
  TaskEvent.NEVER_STARTED,
  TaskEvent.CANCELLED,
]);
