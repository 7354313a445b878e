import type { Connection, RowDataPacket } from "mysql2/promise";
import { doneStatuses } from "../check/statuses.js";

/** The tasks that are not done, in a word each. */
export async function countWaiting(connection: Connection): Promise<string[]> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `select t.task_id, t.attempt, t.status, h.host_name
      from host_role_command t join host h using (host_id) where t.status not in (?) order by task_id`,
    [[...doneStatuses]],
  );
  return rows.map((row) => `${row.task_id}:${row.attempt} ${row.status} on ${row.host_name}`);
}
