import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";
import { noNewerScheduler } from "./scheduler-fence.js";

/** A row of maintenance_window. */
export interface WindowRow {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly durationMs: number;
}

/** The maintenance windows, by name. */
export function readWindows(db: Database): Promise<WindowRow[]> {
  return query(
    db,
    "select name, cron, time_zone as timeZone, duration_ms as durationMs from maintenance_window order by name",
  );
}

/** Makes or changes a window, unless there is a newer scheduler; whether it did. */
export async function putWindow(db: Database, window: WindowRow, token: number): Promise<boolean> {
  const { name, cron, timeZone, durationMs } = window;
  const { affectedRows } = await execute(
    db,
    `insert into maintenance_window (name, cron, time_zone, duration_ms)
    select ?, ?, ?, ? from store where ${noNewerScheduler}
    on duplicate key update cron = ?, time_zone = ?, duration_ms = ?`,
    [name, cron, timeZone, durationMs, token, cron, timeZone, durationMs],
  );
  return affectedRows > 0;
}

/** Deletes a window, unless there is a newer scheduler; whether it did. */
export async function deleteWindow(db: Database, name: string, token: number): Promise<boolean> {
  const sql = `delete from maintenance_window where name = ? and ${noNewerScheduler}`;
  const { affectedRows } = await execute(db, sql, [name, token]);
  return affectedRows > 0;
}

/** The options of the requests that are not over, each a serialised howdah.v1.RequestOptions, by id. */
export function readOpenOptions(db: Database): Promise<{ requestId: number; options: Buffer }[]> {
  return query(
    db,
    "select request_id as requestId, options from request force index (open) where open is not null order by request_id",
  );
}
