import type { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { Knex } from "knex";
import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";

/** One stream of one attempt. */
export interface StreamKey {
  readonly taskId: number;
  readonly attempt: number;
  readonly stream: OutputStream;
}

/** A name for a stream, for maps. */
export function streamName({ taskId, attempt, stream }: StreamKey): string {
  return `${taskId}/${attempt}/${stream}`;
}

// The last chunk of each stream is one step in the primary key, however many chunks there are.
const selectStored = `select v.task_id as taskId, v.attempt, v.stream, coalesce((
    select o.position + length(o.data) from task_output o
    where o.task_id = v.task_id and o.attempt = v.attempt and o.stream = v.stream
    order by o.position desc limit 1), 0) as length
  from ${jsonRows("v", { task_id: "bigint", attempt: "smallint", stream: "tinyint" })}`;

/** How many bytes of each stream are stored, by `streamName`. */
export async function readStored(
  db: Knex,
  keys: readonly StreamKey[],
): Promise<Map<string, number>> {
  if (keys.length === 0) return new Map();
  const rows = await query<StreamKey & { length: number }>(db, selectStored, [
    JSON.stringify(keys.map(({ taskId, attempt, stream }) => [taskId, attempt, stream])),
  ]);
  return new Map(rows.map((row) => [streamName(row), row.length]));
}

/** Bytes of a stream, and where they begin. */
export interface StoredChunk extends StreamKey {
  readonly position: number;
  readonly data: Buffer;
}

/**
 * Adds chunks. `StaleReadError` when somebody else has just stored one at the same place: two appends at one offset exclude
 * each other by the primary key.
 */
export async function insertOutput(db: Knex, chunks: readonly StoredChunk[]): Promise<void> {
  if (chunks.length === 0) return;
  // In the order of the key, so that two batches cannot wait for each other.
  const rows = chunks
    .toSorted(
      (a, b) =>
        a.taskId - b.taskId ||
        a.attempt - b.attempt ||
        a.stream - b.stream ||
        a.position - b.position,
    )
    .map(({ taskId, attempt, stream, position, data }) => [
      taskId,
      attempt,
      stream,
      position,
      data,
    ]);
  try {
    await execute(
      db,
      "insert into task_output (task_id, attempt, stream, position, data) values ?",
      [rows],
    );
  } catch (error) {
    if (isDuplicate(error)) throw new StaleReadError("output was stored by somebody else");
    throw error;
  }
}

/** The chunks of a stream that hold the bytes from `offset` on, in order, at most `limit` of them. */
export async function readOutput(
  db: Knex,
  { taskId, attempt, stream }: StreamKey,
  offset: number,
  limit: number,
): Promise<{ position: number; data: Buffer }[]> {
  const key = [taskId, attempt, stream];
  return query(
    db,
    `select position, data from task_output
    where task_id = ? and attempt = ? and stream = ? and position >= coalesce((
      select max(o.position) from task_output o
      where o.task_id = ? and o.attempt = ? and o.stream = ? and o.position <= ?), 0)
    order by position limit ?`,
    [...key, ...key, offset, limit],
  );
}
