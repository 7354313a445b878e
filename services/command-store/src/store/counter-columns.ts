import { Status } from "@howdah/proto/howdah/v1/status";
import type { Counts } from "@howdah/state/counts";
import { statuses, type TaskStatus } from "@howdah/state/statuses";

/** The counter of each status in role_success_criteria. */
export const counterColumns: Readonly<Record<TaskStatus, string>> = {
  [Status.PENDING]: "pending",
  [Status.QUEUED]: "queued",
  [Status.IN_PROGRESS]: "in_progress",
  [Status.HOLDING]: "holding",
  [Status.COMPLETED]: "completed",
  [Status.FAILED]: "failed",
  [Status.HOLDING_FAILED]: "holding_failed",
  [Status.TIMEDOUT]: "timedout",
  [Status.HOLDING_TIMEDOUT]: "holding_timedout",
  [Status.ABORTED]: "aborted",
  [Status.SKIPPED_FAILED]: "skipped_failed",
  [Status.UNKNOWN]: "unknown",
};

/** A row's counters as the driver gives them. */
export type RawCounts = Readonly<Record<string, unknown>>;

/** The select list of the counters of one row. */
export const counterList = statuses.map((status) => `r.${counterColumns[status]}`).join(", ");

/** The counters of a row. */
export function toCounts(raw: RawCounts): Counts {
  const counts: Partial<Record<TaskStatus, number>> = {};
  for (const status of statuses) {
    const value = Number(raw[counterColumns[status]]);
    if (value !== 0) counts[status] = value;
  }
  return counts;
}
