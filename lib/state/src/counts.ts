import { Status } from "@howdah/proto/howdah/v1/status";
import { statuses, type TaskStatus } from "./statuses.js";

/** How many tasks are in each status; a status that is not named has none. */
export type Counts = Readonly<Partial<Record<TaskStatus, number>>>;

/** How many tasks are in a status. */
export function count(counts: Counts, status: TaskStatus): number {
  return counts[status] ?? 0;
}

/** How many tasks there are in all. */
export function total(counts: Counts): number {
  return statuses.reduce((sum, status) => sum + count(counts, status), 0);
}

/** The counts of several groups together. */
export function sum(groups: Iterable<Counts>): Counts {
  const result: Partial<Record<TaskStatus, number>> = {};
  for (const group of groups) {
    for (const status of statuses) {
      const more = count(group, status);
      if (more !== 0) result[status] = (result[status] ?? 0) + more;
    }
  }
  return result;
}

/** How many tasks may still wait, run or be held: what keeps their stage from being done. */
export function unfinished(counts: Counts): number {
  return (
    count(counts, Status.PENDING) +
    count(counts, Status.QUEUED) +
    count(counts, Status.IN_PROGRESS) +
    count(counts, Status.HOLDING) +
    count(counts, Status.HOLDING_FAILED) +
    count(counts, Status.HOLDING_TIMEDOUT)
  );
}
