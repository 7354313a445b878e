import { failedStatuses } from "@howdah/state/statuses";
import type { Transaction } from "../database/together.js";
import {
  addBatchFailures,
  deleteBatchFailures,
  type RequestBatchFailures,
} from "../store/batch-failures.js";
import { optionsOf } from "./policy.js";
import { isFreshBudget } from "./request-marks.js";
import type { ChangeSet } from "./task-changes.js";

/** What a transaction spends of a request's failure budget. */
export interface Spending {
  /** How many of its tasks have failed just now. */
  readonly failures: number;
  /** How many failed by now in each batch in which one has just now; empty without a budget for batches. */
  readonly batches: readonly RequestBatchFailures[];
}

/**
 * Counts the tasks that come to a failed status from any other, by request: a late word that corrects an UNKNOWN one gives nothing
 * back, and what a person runs again and fails again counts again. Keeps the count of each batch where there is a budget for
 * batches: three statements then, however many tasks, none otherwise.
 */
export async function spendBudgets(
  trx: Transaction,
  changes: ChangeSet,
): Promise<(requestId: number) => Spending> {
  const failures = new Map<number, number>();
  const batches = new Map<string, RequestBatchFailures>();
  for (const { before, after } of changes.changed()) {
    if (!failedStatuses.has(after.status) || failedStatuses.has(before.status)) continue;
    const { requestId, stageId, batch } = after;
    failures.set(requestId, (failures.get(requestId) ?? 0) + 1);
    if (!countsBatches(changes, requestId)) continue;
    const name = `${requestId}/${stageId}/${batch}`;
    const known = batches.get(name)?.failures ?? 0;
    batches.set(name, { requestId, stageId, batch, failures: known + 1 });
  }
  const fresh = [...changes.requests.values()].filter((request) => {
    const before = changes.requestBefore(request.requestId);
    return before !== undefined && isFreshBudget(before, request);
  });
  await deleteBatchFailures(
    trx,
    fresh.map(({ requestId }) => requestId).filter((id) => countsBatches(changes, id)),
  );
  const counted = await addBatchFailures(trx, [...batches.values()]);
  return (requestId) => ({
    failures: failures.get(requestId) ?? 0,
    batches: counted.filter((batch) => batch.requestId === requestId),
  });
}

function countsBatches({ requests }: ChangeSet, requestId: number): boolean {
  const request = requests.get(requestId);
  return request !== undefined && optionsOf(request).rolling?.maxBatchFailures !== undefined;
}
