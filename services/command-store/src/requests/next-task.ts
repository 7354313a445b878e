import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { finalStatuses } from "@howdah/state/statuses";
import { type Policy, type TaskState, transition } from "@howdah/state/transitions";
import type { RequestRow } from "../store/request-rows.js";
import type { TaskRow } from "../store/task-rows.js";

/** What goes with an event. */
export interface EventDetails {
  /** The store's clock, for display. */
  readonly now: number;
  /** With RELEASED: the session it goes to. */
  readonly sessionEpoch?: number;
  /** With RELEASED: the documents it runs with. */
  readonly bindingId?: number;
  readonly exitCode?: number | undefined;
  /** The agent's clock; 0 when it did not say. */
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** When the command was in the agent's journal, likewise. */
  readonly receivedAt?: number;
  readonly stdoutLength?: number | null;
  readonly stderrLength?: number | null;
  readonly structuredLength?: number | null;
  readonly reason?: string;
}

/** What became of a task. */
export type NextTask =
  | { readonly kind: "changed"; readonly task: TaskRow; readonly superseded?: TaskRow }
  | { readonly kind: "known" | "refused" };

/** What a task has that waits for its release: nothing of a former try. */
export const untouched = {
  cancelRequested: false,
  exitCode: null,
  bindingId: 0,
  queueTime: 0,
  startTime: 0,
  endTime: 0,
  stdoutLength: null,
  stderrLength: null,
  structuredLength: null,
  receiveTime: 0,
  reportTime: 0,
  reason: null,
} as const;

/** Why an UNKNOWN task is now in another status. */
const toldLate = "told late: it was UNKNOWN until its agent said what happened";

/** The request is over, or being cancelled or aborted: nothing of it is released, and no failure of it is tried again. */
export function isOver(request: Pick<RequestRow, "open" | "aborted" | "cancelRequested">): boolean {
  return !request.open || request.aborted || request.cancelRequested;
}

/**
 * What an event makes of a task's row: lib/state decides the status, this fills in the rest. Pure. When a new attempt begins,
 * `superseded` is the former one as it ended.
 */
export function nextTask(
  task: TaskRow,
  event: TaskEvent,
  request: Pick<RequestRow, "open" | "aborted" | "cancelRequested" | "paused">,
  policy: Policy,
  details: EventDetails,
): NextTask {
  const requestOver = isOver(request);
  // What would only be given up again is not revived.
  const revives = event === TaskEvent.RESOLVED_RETRY || event === TaskEvent.RETRIED;
  const releases = event === TaskEvent.RELEASED && task.status === Status.PENDING;
  if ((revives && requestOver) || (releases && (requestOver || request.paused))) {
    return { kind: "refused" };
  }
  // Nothing is sent anywhere for a manual step, everything else needs a session to be sent to.
  if (releases && !policy.manual && !details.sessionEpoch) return { kind: "refused" };
  const outcome = transition(stateOf(task, requestOver), event, policy);
  switch (outcome.kind) {
    case "known":
    case "refused":
      return { kind: outcome.kind };
    case "cancel-requested":
      return { kind: "changed", task: { ...task, cancelRequested: true } };
    case "move":
      break;
  }
  const { status, attempt } = outcome;
  if (attempt > task.attempt) {
    const former = { ...ended(task, event, details), status: endOfAttempt(task, event) };
    if (isAgentsEnd(event)) {
      const next = { ...task, ...untouched, status, attempt };
      return { kind: "changed", task: next, superseded: former };
    }
    // What a person says is about the attempt that begins; the former one keeps its own reason.
    const next = { ...task, ...untouched, status, attempt, reason: details.reason || null };
    return { kind: "changed", task: next, superseded: { ...former, reason: task.reason } };
  }
  if (event === TaskEvent.RELEASED) {
    const { sessionEpoch = 0, bindingId = 0, now } = details;
    if (policy.manual) {
      return { kind: "changed", task: { ...task, ...untouched, queueTime: now, status } };
    }
    const released = { ...task, ...untouched, sessionEpoch, bindingId, queueTime: now, status };
    return { kind: "changed", task: released };
  }
  if (status === Status.PENDING) {
    return { kind: "changed", task: { ...task, ...untouched, status } };
  }
  if (status === Status.IN_PROGRESS) {
    const startTime = details.startedAt || details.now;
    const receiveTime = details.receivedAt || task.receiveTime;
    return { kind: "changed", task: { ...task, status, startTime, receiveTime } };
  }
  if (status === Status.UNKNOWN) {
    return { kind: "changed", task: { ...task, status, reason: details.reason || null } };
  }
  return { kind: "changed", task: { ...ended(task, event, details), status } };
}

/** What decides about a task's status; a copy of the whole row with one field more takes two microseconds. */
export function stateOf(
  { status, attempt, cancelRequested }: TaskRow,
  requestOver: boolean,
): TaskState {
  return { status, attempt, cancelRequested, requestOver };
}

/** The row of an attempt that has ended, but for its status. */
function ended(task: TaskRow, event: TaskEvent, details: EventDetails): TaskRow {
  const gaveUp = event === TaskEvent.RESOLVED_ABORT && details.reason && task.reason;
  // Why it failed is worth knowing of what a person gives up for it.
  const reason = gaveUp
    ? `${details.reason}: ${task.reason}`.slice(0, 255)
    : details.reason || task.reason;
  // A person's word about a task that has ended or never ran changes nothing of what its agent said.
  if (!isAgentsEnd(event)) {
    return { ...task, cancelRequested: false, endTime: task.endTime || details.now, reason };
  }
  return {
    ...task,
    cancelRequested: false,
    exitCode: details.exitCode ?? null,
    startTime: details.startedAt || task.startTime,
    endTime: details.endedAt || details.now,
    receiveTime: details.receivedAt || task.receiveTime,
    reportTime: details.now,
    stdoutLength: details.stdoutLength ?? null,
    stderrLength: details.stderrLength ?? null,
    structuredLength: details.structuredLength ?? null,
    reason: details.reason || (task.status === Status.UNKNOWN ? toldLate : null),
  };
}

function isAgentsEnd(event: TaskEvent): boolean {
  switch (event) {
    case TaskEvent.SUCCEEDED:
    case TaskEvent.FAILED:
    case TaskEvent.TIMED_OUT:
    case TaskEvent.INTERRUPTED:
    case TaskEvent.CANCELLED:
      return true;
    default:
      return false;
  }
}

/** How an attempt ended that another one follows. */
function endOfAttempt({ status }: TaskRow, event: TaskEvent): TaskRow["status"] {
  if (status === Status.HOLDING_FAILED) return Status.FAILED;
  if (status === Status.HOLDING_TIMEDOUT) return Status.TIMEDOUT;
  if (finalStatuses.has(status) || !isAgentsEnd(event)) return status;
  return endOf(event);
}

/** The status of an attempt by the agent's last word about it, before any policy. */
export function endOf(event: TaskEvent): TaskRow["status"] {
  switch (event) {
    case TaskEvent.SUCCEEDED:
      return Status.COMPLETED;
    case TaskEvent.TIMED_OUT:
      return Status.TIMEDOUT;
    case TaskEvent.CANCELLED:
    case TaskEvent.NEVER_STARTED:
      return Status.ABORTED;
    default:
      return Status.FAILED;
  }
}
