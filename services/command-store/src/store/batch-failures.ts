import type { BatchFailures } from "@howdah/state/failure-budget";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Transaction } from "../database/together.js";

/** How many tasks of a request's batch have failed. */
export type RequestBatchFailures = BatchFailures & { readonly requestId: number };

const selectBatches = `select b.request_id as requestId, b.stage_id as stageId, b.batch, b.failures
  from ${jsonRows("v", { request_id: "bigint", stage_id: "int", batch: "smallint" })}
  straight_join batch_failures b force index (primary)
    on b.request_id = v.request_id and b.stage_id = v.stage_id and b.batch = v.batch`;

/** Adds failures to batches, and gives how many each of these has then. The lock on their requests' rows must be held. */
export async function addBatchFailures(
  trx: Transaction,
  added: readonly RequestBatchFailures[],
): Promise<RequestBatchFailures[]> {
  if (added.length === 0) return [];
  await execute(
    trx,
    `insert into batch_failures (request_id, stage_id, batch, failures) values ?
    on duplicate key update failures = failures + values(failures)`,
    [added.map((b) => [b.requestId, b.stageId, b.batch, b.failures])],
  );
  return query(trx, selectBatches, [
    JSON.stringify(added.map((b) => [b.requestId, b.stageId, b.batch])),
  ]);
}

/** Forgets what failed in the batches of requests. */
export async function deleteBatchFailures(
  trx: Transaction,
  requestIds: readonly number[],
): Promise<void> {
  if (requestIds.length === 0) return;
  await execute(trx, "delete from batch_failures where request_id in (?)", [requestIds]);
}
