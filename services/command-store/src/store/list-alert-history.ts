import type { AlertState } from "@howdah/proto/howdah/v1/alert";
import { execute, query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";
import { fromStoredState } from "./alert-states.js";

/** A change of an alert's state. */
export interface AlertChangeRow {
  readonly alertId: number;
  readonly name: string;
  readonly hostName: string;
  readonly service: string;
  readonly component: string;
  readonly state: AlertState;
  readonly changedAt: number;
  readonly text: string;
}

/** Which changes of a cluster's alerts to list. */
export interface HistoryFilter {
  readonly clusterId: number;
  /** Empty means all. */
  readonly name: string;
  /** Empty means all. */
  readonly hostName: string;
}

/** The next changes with ids below `below` (0: the newest), newest first, `limit` at most. */
export async function listAlertHistory(
  db: Database,
  { clusterId, name, hostName }: HistoryFilter,
  below: number,
  limit: number,
): Promise<AlertChangeRow[]> {
  const conditions = ["cluster_id = ?"];
  const bindings: Binding[] = [clusterId];
  const and = (condition: string, value: Binding) => {
    conditions.push(condition);
    bindings.push(value);
  };
  if (name !== "") and("name = ?", name);
  if (hostName !== "") and("host_name = ?", hostName);
  if (below > 0) and("alert_id < ?", below);
  // With both, the host's: it has changes of all its alerts, the name those of all its hosts.
  const narrowest = name === "" ? "cluster" : "name";
  const index = hostName === "" ? narrowest : "host";
  const rows = await query<AlertChangeRow>(
    db,
    `select alert_id as alertId, name, host_name as hostName, service_name as service, component_name as component,
      alert_state + 0 as state, changed_at as changedAt, alert_text as text
    from alert_history force index (${index}) where ${conditions.join(" and ")} order by alert_id desc limit ?`,
    [...bindings, limit],
  );
  return rows.map((row) => ({ ...row, state: fromStoredState(row.state) }));
}

/** Deletes at most `limit` changes from before a time, oldest first. Gives how many. */
export async function deleteAlertHistory(
  db: Database,
  before: number,
  limit: number,
): Promise<number> {
  const { affectedRows } = await execute(
    db,
    "delete from alert_history where changed_at < ? order by changed_at limit ?",
    [before, limit],
  );
  return affectedRows;
}

/** How many changes there are from before a time. */
export async function countAlertHistory(db: Database, before: number): Promise<number> {
  const [row] = await query<{ count: number }>(
    db,
    "select count(*) as count from alert_history force index (changed) where changed_at < ?",
    [before],
  );
  return row?.count ?? 0;
}
