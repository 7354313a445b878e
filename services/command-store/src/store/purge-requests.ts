import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";
import { abandonedPrefix } from "./purge-preparing.js";

/** A request that may be old enough. */
export interface OldRequest {
  readonly requestId: number;
  readonly endTime: number;
}

/** A piece of the table of requests. */
export interface OldRequests {
  /** Those that have ended before the time. */
  readonly ended: readonly OldRequest[];
  /** The last id that was looked at; undefined when there is nothing older behind it. */
  readonly next: number | undefined;
}

const pageSize = 500;

/**
 * Looks for requests that ended before a time among those with ids above `above`, a page at a time, oldest first. Ids and times
 * grow together, within a page at least, so it reads no further than the first page that has nothing made before that time.
 */
export async function listEnded(db: Database, above: number, before: number): Promise<OldRequests> {
  const rows = await query<OldRequest & { ended: number; createTime: number }>(
    db,
    `select request_id as requestId, end_time as endTime, create_time as createTime,
      (ready = 1 and open is null and end_time > 0) as ended
    from request force index (primary) where request_id > ? order by request_id limit ?`,
    [above, pageSize],
  );
  const last = rows.length < pageSize || rows.every(({ createTime }) => createTime >= before);
  return {
    ended: rows.filter(({ ended, endTime }) => ended === 1 && endTime < before),
    next: last ? undefined : rows.at(-1)?.requestId,
  };
}

/**
 * Takes a request that ended before a time from all readers and writers, at once and for good, and frees its key. From here on it is
 * like one whose making was abandoned: `deleteRequest` removes it, and whoever looks for abandoned ones finds it. False when it
 * has come to life again, or is gone.
 */
export async function hideRequest(
  db: Database,
  requestId: number,
  before: number,
): Promise<boolean> {
  const { affectedRows } = await execute(
    db,
    `update request set ready = 0, open = 0, idempotency_key = concat(?, request_id)
    where request_id = ? and ready = 1 and open is null and end_time < ?`,
    [abandonedPrefix, requestId, before],
  );
  return affectedRows === 1;
}

/** Hidden requests whose deletion broke off. */
export async function listHidden(db: Database): Promise<number[]> {
  const rows = await query<{ requestId: number }>(
    db,
    `select request_id as requestId from request force index (open)
    where open = 0 and ready = 0 and idempotency_key like ? order by request_id`,
    [`${abandonedPrefix}%`],
  );
  return rows.map(({ requestId }) => requestId);
}
