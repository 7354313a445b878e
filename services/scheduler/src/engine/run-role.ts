import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type RoleOutcome, roleOutcome } from "@howdah/state/roll-up";
import { liveStatuses, type TaskStatus } from "@howdah/state/statuses";
import type { RoleContents } from "./run-contents.js";

/** A role of a stage, with how many of its tasks are in each status. */
export interface RunRole extends RoleContents {
  readonly stageId: number;
  readonly counts: Partial<Record<TaskStatus, number>>;
}

const accepted = [Status.FAILED, Status.TIMEDOUT] as const;
const bad = [
  [Status.FAILED, "failed"],
  [Status.TIMEDOUT, "timed out"],
  [Status.UNKNOWN, "is unknown"],
  [Status.ABORTED, "was aborted"],
] as const;

/**
 * What can be said of a role where it decides whether the request goes on. With HOLD a FAILED or TIMEDOUT task is one that a person
 * accepted, so it stops nothing; one that nobody can tell about, or that a person gave up, does.
 */
export function outcomeOf(role: RunRole, onFailure: OnFailure): RoleOutcome {
  const { counts, successFactor } = role;
  if (onFailure !== OnFailure.HOLD) {
    const outcome = roleOutcome(role);
    if (onFailure === OnFailure.ABORT) return outcome;
    if (outcome === "doomed") return "open";
    return outcome === "failed" ? "succeeded" : outcome;
  }
  const passedOver = accepted.reduce(
    (sum, status) => sum + (counts[status] ?? 0),
    counts[Status.SKIPPED_FAILED] ?? 0,
  );
  const held = { [Status.FAILED]: 0, [Status.TIMEDOUT]: 0, [Status.SKIPPED_FAILED]: passedOver };
  return roleOutcome({ counts: { ...counts, ...held }, successFactor });
}

/** Whether some of its tasks are with their agents. */
export function hasLive({ counts }: RunRole): boolean {
  for (const status of liveStatuses) if ((counts[status as TaskStatus] ?? 0) > 0) return true;
  return false;
}

/** Whether some of its tasks failed, rather than were given up for another's failure. */
export function hasFailures({ counts }: RunRole): boolean {
  return bad.some(([status]) => status !== Status.ABORTED && (counts[status] ?? 0) > 0);
}
