import type { Connection, RowDataPacket } from "mysql2/promise";
import type { AlertsOfRun } from "../check/history.js";

/** Reads how the alerts of a cluster's hosts are, and how they became so. */
export async function readAlerts(
  connection: Connection,
  cluster: string,
): Promise<Pick<AlertsOfRun, "current" | "changes">> {
  const all = async (sql: string) => {
    const [rows] = await connection.query<RowDataPacket[]>(sql, [cluster]);
    return rows.map((row) => ({
      name: row.name as string,
      host: row.host_name as string,
      state: row.alert_state as string,
    }));
  };
  const from = (table: string, order: string) =>
    `select a.name, a.host_name, a.alert_state from ${table} a join cluster c using (cluster_id)
    where c.name = ? and a.host_name <> '' order by ${order}`;
  return {
    current: await all(from("alert_current", "a.definition_id, a.host_id")),
    changes: await all(from("alert_history", "a.alert_id")),
  };
}
