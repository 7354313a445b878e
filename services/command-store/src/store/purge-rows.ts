import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";
import { untilItHolds } from "../database/transaction.js";

/** What one statement deleted. */
export interface Deleted {
  readonly tasks?: number;
  readonly outputBytes?: number;
}

const rowsAtOnce = 1_000;
/** Rows with blobs: what replicates rows whole sends as much with each delete. */
const bytesAtOnce = 4 << 20;
const stagesAtOnce = 100;

const outputKey = { task_id: "bigint", attempt: "smallint", stream: "tinyint", position: "bigint" };

/**
 * Deletes a request that nobody sees (`ready = 0`) with all it has, in the order of ids, and yields after each statement, so that the
 * caller can rest or stop. Each is a transaction of at most 1,000 rows or 4 MiB of output; the tasks go after what they have and
 * the request goes last, so what broke off is found and goes on.
 */
export async function* deleteRequest(db: Database, requestId: number): AsyncGenerator<Deleted> {
  for (;;) {
    const rows = await query<{ taskId: number }>(
      db,
      `select task_id as taskId from host_role_command force index (request) where request_id = ?
      order by task_id limit ?`,
      [requestId, rowsAtOnce],
    );
    if (rows.length === 0) break;
    const taskIds = rows.map(({ taskId }) => taskId);
    yield* deleteOutput(db, taskIds);
    yield* deleteAll(db, "task_attempt where task_id in (?)", taskIds, rowsAtOnce);
    yield* deleteAll(db, "execution_command where task_id in (?)", taskIds, rowsAtOnce);
    yield* deleteAll(db, "host_role_command where task_id in (?)", taskIds, rowsAtOnce);
    yield { tasks: taskIds.length };
  }
  yield* deleteAll(db, "role_success_criteria where request_id in (?)", [requestId], rowsAtOnce);
  yield* deleteAll(db, "batch_failures where request_id in (?)", [requestId], rowsAtOnce);
  yield* deleteAll(db, "stage where request_id in (?)", [requestId], stagesAtOnce);
  yield* deleteAll(db, "request where ready = 0 and request_id in (?)", [requestId], 1);
}

/** Deletes rows by the first column of their table's primary key, `limit` at a time. */
async function* deleteAll(
  db: Database,
  rows: string,
  ids: readonly number[],
  limit: number,
): AsyncGenerator<Deleted> {
  for (;;) {
    const sql = `delete from ${rows} limit ?`;
    const { affectedRows } = await untilItHolds(() => execute(db, sql, [ids, limit]));
    yield {};
    if (affectedRows < limit) return;
  }
}

const deleteChunks = `delete o from ${jsonRows("v", outputKey)} straight_join task_output o force index (primary)
  on o.task_id = v.task_id and o.attempt = v.attempt and o.stream = v.stream and o.position = v.position`;

async function* deleteOutput(db: Database, taskIds: readonly number[]): AsyncGenerator<Deleted> {
  for (;;) {
    const chunks = await query<{
      taskId: number;
      attempt: number;
      stream: number;
      position: number;
      size: number;
    }>(
      db,
      `select task_id as taskId, attempt, stream, position, length(data) as size
      from task_output force index (primary) where task_id in (?)
      order by task_id, attempt, stream, position limit ?`,
      [taskIds, rowsAtOnce],
    );
    for (let from = 0; from < chunks.length; ) {
      let outputBytes = 0;
      let to = from;
      for (; to < chunks.length && (to === from || outputBytes < bytesAtOnce); to += 1) {
        outputBytes += chunks[to]?.size ?? 0;
      }
      const keys = chunks
        .slice(from, to)
        .map(({ taskId, attempt, stream, position }) => [taskId, attempt, stream, position]);
      await untilItHolds(() => execute(db, deleteChunks, [JSON.stringify(keys)]));
      yield { outputBytes };
      from = to;
    }
    if (chunks.length < rowsAtOnce) return;
  }
}
