import { OnFailure, type RequestOptions, type Rolling } from "@howdah/proto/howdah/v1/operation";
import { ordinal } from "./failure-text.js";

/** Whether a rolling request says how many failures it bears. */
export function hasBudget(rolling: Rolling | undefined): rolling is Rolling {
  const { maxFailures, maxFailurePercent, maxBatchFailures } = rolling ?? {};
  return [maxFailures, maxFailurePercent, maxBatchFailures].some((limit) => limit !== undefined);
}

/**
 * What happens to the rest of a request when a role of it has failed for good: ABORT when nothing is stated, but CONTINUE when a
 * failure budget is, which would otherwise be over with the first failure.
 */
export function onFailureOf({
  onFailure,
  rolling,
}: Pick<RequestOptions, "onFailure" | "rolling">): Exclude<OnFailure, OnFailure.UNSPECIFIED> {
  if (onFailure !== OnFailure.UNSPECIFIED) return onFailure;
  return hasBudget(rolling) ? OnFailure.CONTINUE : OnFailure.ABORT;
}

/** What a request has spent of its budget since its run began or was last resumed. */
export interface Spent {
  /** Tasks that failed. */
  readonly failures: number;
  /** Tasks of the request in all. */
  readonly tasks: number;
  /** Of the batches in which a task has failed just now: which, and how many failed in it. */
  readonly batches: readonly BatchFailures[];
}

/** How many tasks of a batch have failed. */
export interface BatchFailures {
  readonly stageId: number;
  /** From 0. */
  readonly batch: number;
  readonly failures: number;
}

/** Which budget is exceeded, in words for people; undefined when none is. */
export function exceededBudget(rolling: Rolling, spent: Spent): string | undefined {
  const { maxFailures, maxFailurePercent, maxBatchFailures } = rolling;
  const { failures, tasks } = spent;
  if (maxFailures !== undefined && failures > maxFailures) {
    return `${tasksFailed(failures)}, the budget is ${maxFailures}`;
  }
  if (maxFailurePercent !== undefined && failures * 100 > maxFailurePercent * tasks) {
    return `${tasksFailed(failures)} of ${tasks}, the budget is ${maxFailurePercent} %`;
  }
  if (maxBatchFailures === undefined) return undefined;
  const batch = spent.batches.find((each) => each.failures > maxBatchFailures);
  if (batch === undefined) return undefined;
  return `${tasksFailed(batch.failures)} in batch ${ordinal(batch.batch)} of stage ${ordinal(batch.stageId)}, the budget of a batch is ${maxBatchFailures}`;
}

function tasksFailed(failures: number): string {
  return failures === 1 ? "1 task failed" : `${failures} tasks failed`;
}
