import { Status } from "@howdah/proto/howdah/v1/status";

/** Every status a task can have, in the order in which people read them. */
export const statuses = [
  Status.PENDING,
  Status.QUEUED,
  Status.IN_PROGRESS,
  Status.HOLDING,
  Status.HOLDING_FAILED,
  Status.HOLDING_TIMEDOUT,
  Status.COMPLETED,
  Status.FAILED,
  Status.TIMEDOUT,
  Status.ABORTED,
  Status.SKIPPED_FAILED,
  Status.UNKNOWN,
] as const;

/** A status that a task can have. */
export type TaskStatus = (typeof statuses)[number];

/** Statuses that an explicit retry alone can change (Ambari's COMPLETED_STATES). */
export const finalStatuses: ReadonlySet<Status> = new Set([
  Status.COMPLETED,
  Status.FAILED,
  Status.TIMEDOUT,
  Status.ABORTED,
  Status.SKIPPED_FAILED,
]);

/** Statuses that wait for a person (Ambari's HOLDING_STATES). */
export const holdingStatuses: ReadonlySet<Status> = new Set([
  Status.HOLDING,
  Status.HOLDING_FAILED,
  Status.HOLDING_TIMEDOUT,
]);

/** Statuses that a failure budget counts. */
export const failedStatuses: ReadonlySet<Status> = new Set([
  Status.FAILED,
  Status.TIMEDOUT,
  Status.UNKNOWN,
  Status.SKIPPED_FAILED,
  Status.HOLDING_FAILED,
  Status.HOLDING_TIMEDOUT,
]);

/** Statuses in which the task is, or may be, with its agent and a word from it is due. */
export const liveStatuses: ReadonlySet<Status> = new Set([Status.QUEUED, Status.IN_PROGRESS]);

/** Statuses in which an agent may still say something that changes the task. */
export const openStatuses: ReadonlySet<Status> = new Set([
  Status.QUEUED,
  Status.IN_PROGRESS,
  Status.UNKNOWN,
]);

/**
 * Whether a task in this status no longer holds up its stage: it waits for nobody and nothing. UNKNOWN is done, and counts as
 * failed, although a later word may correct it.
 */
export function isDone(status: Status): boolean {
  return finalStatuses.has(status) || status === Status.UNKNOWN;
}

/** The status's name as users and Ambari spell it, such as `IN_PROGRESS`. */
export function statusName(status: Status): string {
  return Status[status];
}
