import type { Connection, RowDataPacket } from "mysql2/promise";

/** What MySQL has of the standard output of a request's tasks. */
export interface StoredOutput {
  readonly bytes: number;
  /** When the first of the tasks started, by its agent's wall clock; 0 when none has. */
  readonly startedAtMs: number;
}

/** Asks MySQL itself how much is stored: where the last chunk of each task ends, a step in the key for each. */
export async function storedOutput(database: Connection, requestId: bigint): Promise<StoredOutput> {
  const [[row]] = await database.query<RowDataPacket[]>(
    `select coalesce(sum((select o.position + length(o.data) from task_output o
        where o.task_id = t.task_id and o.attempt = 1 and o.stream = 1
        order by o.position desc limit 1)), 0) as bytes,
      coalesce(min(nullif(t.start_time, 0)), 0) as startedAtMs
    from host_role_command t where t.request_id = ?`,
    [String(requestId)],
  );
  return { bytes: Number(row?.bytes), startedAtMs: Number(row?.startedAtMs) };
}

/** In how many chunks it is stored. */
export async function storedChunks(database: Connection, requestId: bigint): Promise<number> {
  const [[row]] = await database.query<RowDataPacket[]>(
    `select count(*) as chunks from host_role_command t
    join task_output o on o.task_id = t.task_id and o.attempt = 1 and o.stream = 1 where t.request_id = ?`,
    [String(requestId)],
  );
  return Number(row?.chunks);
}
