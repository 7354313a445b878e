import { Status } from "@howdah/proto/howdah/v1/status";
import { type Counts, count } from "./counts.js";
import type { TaskStatus } from "./statuses.js";

/** Ends that are no success, with the words for them, the most telling first. */
const bad: readonly (readonly [TaskStatus, string])[] = [
  [Status.FAILED, "failed"],
  [Status.TIMEDOUT, "timed out"],
  [Status.UNKNOWN, "is unknown"],
  [Status.ABORTED, "was aborted"],
];

/** A stage's or batch's number as people count, from 1; in data they count from 0. */
export function ordinal(index: number): number {
  return index + 1;
}

/** A role's failure in words, such as `stage 2: WORKER failed on 1 host`: why its request is aborted. */
export function roleFailure(stageId: number, role: string, counts: Counts): string {
  const parts = bad
    .map(([status, words]) => ({ words, hosts: count(counts, status) }))
    .filter(({ hosts }) => hosts > 0)
    .map(({ words, hosts }) => `${words} on ${hosts} ${hosts === 1 ? "host" : "hosts"}`);
  return `stage ${ordinal(stageId)}: ${role} ${parts.join(", ")}`;
}
