import type { OutputStream } from "@howdah/proto/howdah/v1/command";
import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { executePrepared } from "../database/prepared.js";
import { execute, query } from "../database/query.js";
import { type Database, isTransaction, type Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";

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
  db: Database,
  keys: readonly StreamKey[],
): Promise<Map<string, number>> {
  if (keys.length === 0) return new Map();
  const rows = await query<StreamKey & { length: number }>(db, selectStored, [
    JSON.stringify(keys.map(({ taskId, attempt, stream }) => [taskId, attempt, stream])),
  ]);
  return new Map(rows.map((row) => [streamName(row), row.length]));
}

/** A stream as it is stored, and what an append to it depends on. */
export interface StreamState extends StreamKey {
  /** Null when there is no such task. */
  readonly hostId: number | null;
  readonly lastAttempt: number | null;
  /** The request's version with the task's last change. */
  readonly changeVersion: number | null;
  /** Of the task's host; null when it never had one. */
  readonly sessionEpoch: number | null;
  /** How many bytes of the stream are stored. */
  readonly length: number;
}

// Attempts and streams that cannot be are refused by what is read here, so they must fit.
const selectStates = `select v.task_id as taskId, v.attempt, v.stream, t.host_id as hostId, t.attempt as lastAttempt, t.change_version as changeVersion,
    s.session_epoch as sessionEpoch, coalesce((
      select o.position + length(o.data) from task_output o
      where o.task_id = v.task_id and o.attempt = v.attempt and o.stream = v.stream
      order by o.position desc limit 1), 0) as length
  from ${jsonRows("v", { task_id: "bigint", attempt: "bigint", stream: "bigint" })}
  left join host_role_command t force index (primary) on t.task_id = v.task_id
  left join session s force index (primary) on s.host_id = t.host_id`;

/** Reads how these streams are, by `streamName`. */
export async function readStreamStates(
  db: Database,
  keys: Iterable<StreamKey>,
): Promise<Map<string, StreamState>> {
  const rows = Array.from(keys, ({ taskId, attempt, stream }) => [taskId, attempt, stream]);
  if (rows.length === 0) return new Map();
  const found = await query<StreamState>(db, selectStates, [JSON.stringify(rows)]);
  return new Map(found.map((state) => [streamName(state), state]));
}

/** Bytes of a stream, and where they begin. */
export interface StoredChunk extends StreamKey {
  readonly position: number;
  readonly data: Buffer;
}

/** Of chunks of this size on average it pays to send them as they are. */
const largeBytes = 4 << 10;
/** A statement for each number of rows is prepared, on each connection: not too many. */
const preparedRows = 32;
const insertText = "insert into task_output (task_id, attempt, stream, position, data) values";

/**
 * Adds chunks. `StaleReadError` when somebody else has just stored one at the same place: two appends at one offset exclude
 * each other by the primary key.
 */
export async function insertOutput(db: Database, chunks: readonly StoredChunk[]): Promise<void> {
  if (chunks.length === 0) return;
  // In the order of the key, so that two batches cannot wait for each other.
  const sorted = chunks.toSorted(
    (a, b) =>
      a.taskId - b.taskId ||
      a.attempt - b.attempt ||
      a.stream - b.stream ||
      a.position - b.position,
  );
  const total = sorted.reduce((sum, { data }) => sum + data.length, 0);
  try {
    if (total / sorted.length < largeBytes) {
      await execute(db, `${insertText} ?`, [sorted.map(rowOf)]);
    } else if (sorted.length <= preparedRows) {
      await insertPrepared(db, sorted);
    } else {
      const insertAll = async (trx: Transaction) => {
        for (let at = 0; at < sorted.length; at += preparedRows) {
          await insertPrepared(trx, sorted.slice(at, at + preparedRows));
        }
      };
      await (isTransaction(db) ? insertAll(db) : inTransaction(db, insertAll));
    }
  } catch (error) {
    if (isDuplicate(error)) throw new StaleReadError("output was stored by somebody else");
    throw error;
  }
}

async function insertPrepared(db: Database, chunks: readonly StoredChunk[]): Promise<void> {
  const rows = chunks.map(() => "(?, ?, ?, ?, ?)").join(", ");
  await executePrepared(db, `${insertText} ${rows}`, chunks.flatMap(rowOf));
}

function rowOf({ taskId, attempt, stream, position, data }: StoredChunk) {
  return [taskId, attempt, stream, position, data];
}

/** The chunks of a stream that hold the bytes from `offset` on, in order, at most `limit` of them. */
export async function readOutput(
  db: Database,
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
