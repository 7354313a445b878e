import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";
import { deleteRequest } from "./purge-rows.js";

/** No caller's key begins so. */
export const abandonedPrefix = "~";

/**
 * Takes the key from a request that is being made, so that it can be made anew; whoever is still making it finds out with the next
 * chunk. Whether it was there.
 */
export async function abandonPreparing(db: Database, requestId: number): Promise<boolean> {
  const { affectedRows } = await execute(
    db,
    "update request set idempotency_key = concat(?, request_id) where request_id = ? and ready = 0",
    [abandonedPrefix, requestId],
  );
  return affectedRows === 1;
}

/** Requests that are being made and got no chunk since `before`, or were abandoned. */
export async function listAbandoned(db: Database, before: number): Promise<number[]> {
  const rows = await query<{ requestId: number }>(
    db,
    `select request_id as requestId from request force index (open)
    where open = 0 and ready = 0 and (create_time < ? or idempotency_key like ?)`,
    [before, `${abandonedPrefix}%`],
  );
  return rows.map(({ requestId }) => requestId);
}

/** Deletes an abandoned request with all it has. */
export async function deleteAbandoned(db: Database, requestId: number): Promise<void> {
  for await (const _ of deleteRequest(db, requestId));
}
