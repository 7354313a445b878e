import { Status } from "@howdah/proto/howdah/v1/status";
import { type Counts, count, sum, total, unfinished } from "./counts.js";
import type { TaskStatus } from "./statuses.js";

/** A role of a stage: what succeeds or fails as one. */
export interface RoleCounts {
  readonly counts: Counts;
  /** The share of its tasks that must succeed, from 0 to 1. */
  readonly successFactor: number;
}

/** What can be said of a role. */
export type RoleOutcome =
  /** It can still go either way. */
  | "open"
  /** So many have failed that it cannot succeed, but some of its tasks wait, run or are held. */
  | "doomed"
  /** Done, and fewer succeeded than its factor asks for. */
  | "failed"
  /** Done, and enough succeeded. */
  | "succeeded";

/** How many of `tasks` must succeed; a factor of 0.5 of 3 asks for 2, as in Ambari. */
export function needed(tasks: number, successFactor: number): number {
  // Rounded first, so that 0.7 of 10 is 7 although 0.7 * 10 is not quite.
  return Math.ceil(Number((successFactor * tasks).toFixed(6)));
}

/**
 * What can be said of a role. This is the one meaning of a success factor: a role has succeeded when it is done and at least
 * ceil(factor × tasks) of its tasks did; tasks that were passed over (SKIPPED_FAILED) hold nobody up and count as succeeded
 * here, since passing over is what the request asked for. UNKNOWN counts as failed.
 */
export function roleOutcome(role: RoleCounts): RoleOutcome {
  const tasks = total(role.counts);
  const succeeded =
    count(role.counts, Status.COMPLETED) + count(role.counts, Status.SKIPPED_FAILED);
  const open = unfinished(role.counts);
  const enough = needed(tasks, role.successFactor);
  if (open === 0) return succeeded >= enough ? "succeeded" : "failed";
  return succeeded + open >= enough ? "open" : "doomed";
}

const heldFirst = [Status.HOLDING, Status.HOLDING_FAILED, Status.HOLDING_TIMEDOUT] as const;
const worstFirst = [Status.FAILED, Status.TIMEDOUT, Status.UNKNOWN, Status.ABORTED] as const;

/** What the statuses of a group's tasks add up to, given whether enough of them succeeded once all are done. */
function rolledUp(counts: Counts, succeeded: boolean): TaskStatus {
  if (total(counts) === 0) return Status.COMPLETED;
  if (unfinished(counts) === 0) {
    if (succeeded) return Status.COMPLETED;
    return worstFirst.find((status) => count(counts, status) > 0) ?? Status.COMPLETED;
  }
  const held = heldFirst.find((status) => count(counts, status) > 0);
  if (held !== undefined) return held;
  return count(counts, Status.PENDING) === total(counts) ? Status.PENDING : Status.IN_PROGRESS;
}

/**
 * The status of a stage: PENDING until a task is released, held while one is, IN_PROGRESS until all are done; then COMPLETED if
 * every role succeeded, else the worst that a task came to.
 */
export function stageStatus(roles: readonly RoleCounts[]): TaskStatus {
  const succeeded = roles.every((role) => roleOutcome(role) === "succeeded");
  return rolledUp(sum(roles.map((role) => role.counts)), succeeded);
}

/** The status of a request, given its stages in order: the same rules, over all of their tasks. */
export function requestStatus(stages: readonly (readonly RoleCounts[])[]): TaskStatus {
  const roles = stages.flat();
  const succeeded = roles.every((role) => roleOutcome(role) === "succeeded");
  return rolledUp(sum(roles.map((role) => role.counts)), succeeded);
}

/** What is shown of a status before the end: FAILED, TIMEDOUT or SKIPPED_FAILED as soon as one task is [S 7.4]. */
export function displayStatus(status: TaskStatus, counts: Counts): TaskStatus {
  const shown = [Status.FAILED, Status.TIMEDOUT, Status.SKIPPED_FAILED] as const;
  return shown.find((bad) => count(counts, bad) > 0) ?? status;
}

/**
 * How far a request is, from 0 to 100: a task counts 0.09 while queued, 0.35 while it runs or is held (Ambari's weights), 1 when
 * done. 100 exactly when the request is over. It may fall when a task is retried: what is shown is the highest so far.
 */
export function progressPercent(counts: Counts): number {
  const tasks = total(counts);
  const open = unfinished(counts);
  if (open === 0) return 100;
  const queued = count(counts, Status.QUEUED);
  const running = open - queued - count(counts, Status.PENDING);
  const done = tasks - open;
  return Math.min(99, Math.floor((100 * (0.09 * queued + 0.35 * running + done)) / tasks));
}
