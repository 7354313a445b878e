import type { AlertStanding } from "@howdah/state/alerts";
import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";
import { fromStoredFirmness, fromStoredState, toStoredState } from "./alert-states.js";

/** Names an alert: one of a definition on a host, or of the whole cluster (host 0). */
export interface AlertKey {
  readonly definitionId: number;
  readonly hostId: number;
}

/** An alert as it is now. */
export interface CurrentAlert extends AlertKey, AlertStanding {
  readonly since: number;
  readonly toldAt: number;
  readonly text: string;
  readonly version: number;
}

/** An alert that is new, with what lists show of it. */
export interface NewAlert extends CurrentAlert {
  readonly clusterId: number;
  /** The cluster's version when it was read who watches what; the alert is made only while it is that. */
  readonly clusterVersion: number;
  readonly service: string;
  readonly name: string;
  readonly hostName: string;
}

/** A change of an alert's state. */
export interface AlertEvent {
  readonly clusterId: number;
  readonly name: string;
  readonly hostName: string;
  readonly service: string;
  readonly component: string;
  readonly state: AlertStanding["state"];
  readonly changedAt: number;
  readonly text: string;
}

/** With texts of 4,000 characters a statement of so many rows stays below what servers take at once. */
const rowsAtOnce = 500;
const alertKey = { definition_id: "bigint", host_id: "bigint" };
const standingColumns = {
  alert_state: "tinyint",
  firmness: "tinyint",
  occurrences: "int",
  since: "bigint",
  told_at: "bigint",
  latest_text: "varchar(4000) character set utf8mb4",
};

/** The values of `standingColumns`. */
function standingOf(alert: CurrentAlert) {
  const { state, firmness, occurrences, since, toldAt, text } = alert;
  return [toStoredState(state), firmness, occurrences, since, toldAt, text];
}

/** Orders alerts as every statement takes them, so that none waits for another in a circle. */
export function byAlertKey(a: AlertKey, b: AlertKey): number {
  return a.definitionId - b.definitionId || a.hostId - b.hostId;
}

/** The alerts of these keys, as they are now; those that are not there are left out. */
export async function readCurrentAlerts(
  db: Database,
  keys: readonly AlertKey[],
): Promise<CurrentAlert[]> {
  if (keys.length === 0) return [];
  const rows = await query<CurrentAlert>(
    db,
    `select a.definition_id as definitionId, a.host_id as hostId, a.alert_state + 0 as state, a.firmness + 0 as firmness,
      a.occurrences, a.since, a.told_at as toldAt, a.latest_text as text, a.version
    from ${jsonRows("v", alertKey)}
      straight_join alert_current a force index (primary) on a.definition_id = v.definition_id and a.host_id = v.host_id`,
    [JSON.stringify(keys.map(({ definitionId, hostId }) => [definitionId, hostId]))],
  );
  return rows.map((row) => ({
    ...row,
    state: fromStoredState(row.state),
    firmness: fromStoredFirmness(row.firmness),
  }));
}

const insertAlerts = `insert into alert_current (definition_id, host_id, cluster_id, service_name, name, host_name, alert_state,
    firmness, occurrences, since, told_at, version, latest_text)
  select v.definition_id, v.host_id, v.cluster_id, v.service_name, v.name, v.host_name, v.alert_state, v.firmness, v.occurrences,
    v.since, v.told_at, 1, v.latest_text
  from ${jsonRows("v", {
    ...alertKey,
    cluster_id: "bigint",
    cluster_version: "bigint",
    service_name: "varchar(100) character set utf8mb4",
    name: "varchar(255) character set utf8mb4",
    host_name: "varchar(255) character set utf8mb4",
    ...standingColumns,
  })} straight_join cluster c force index (primary) on c.cluster_id = v.cluster_id and c.version = v.cluster_version`;

/** Makes alerts, given in the order of their keys. `StaleReadError` when one is there already or its cluster has changed. */
export async function insertCurrentAlerts(
  trx: Transaction,
  alerts: readonly NewAlert[],
): Promise<void> {
  for (let start = 0; start < alerts.length; start += rowsAtOnce) {
    const rows = alerts
      .slice(start, start + rowsAtOnce)
      .map((each) => [
        ...[each.definitionId, each.hostId, each.clusterId, each.clusterVersion],
        ...[each.service, each.name, each.hostName, ...standingOf(each)],
      ]);
    const inserting = execute(trx, insertAlerts, [JSON.stringify(rows)]);
    const { affectedRows } = await inserting.catch((error: unknown) => {
      if (isDuplicate(error)) throw new StaleReadError("an alert is there already");
      throw error;
    });
    if (affectedRows !== rows.length) throw new StaleReadError("the cluster has changed");
  }
}

const updateAlerts = `update ${jsonRows("v", {
  ...alertKey,
  version: "int",
  ...standingColumns,
})} straight_join alert_current a force index (primary)
    on a.definition_id = v.definition_id and a.host_id = v.host_id and a.version = v.version
set a.alert_state = v.alert_state, a.firmness = v.firmness, a.occurrences = v.occurrences, a.since = v.since, a.told_at = v.told_at,
  a.latest_text = v.latest_text, a.version = a.version + 1`;

/** Writes alerts, given in the order of their keys with the version that was read. `StaleReadError` when one has changed since. */
export async function updateCurrentAlerts(
  trx: Transaction,
  alerts: readonly CurrentAlert[],
): Promise<void> {
  for (let start = 0; start < alerts.length; start += rowsAtOnce) {
    const rows = alerts
      .slice(start, start + rowsAtOnce)
      .map((each) => [each.definitionId, each.hostId, each.version, ...standingOf(each)]);
    const { affectedRows } = await execute(trx, updateAlerts, [JSON.stringify(rows)]);
    if (affectedRows !== rows.length) throw new StaleReadError("an alert has changed");
  }
}

/** Adds to the history. */
export async function insertAlertHistory(
  trx: Transaction,
  events: readonly AlertEvent[],
): Promise<void> {
  for (let start = 0; start < events.length; start += rowsAtOnce) {
    const rows = events
      .slice(start, start + rowsAtOnce)
      .map((each) => [
        each.clusterId,
        each.name,
        each.hostName,
        each.service,
        each.component,
        toStoredState(each.state),
        each.changedAt,
        each.text,
      ]);
    await execute(
      trx,
      `insert into alert_history (cluster_id, name, host_name, service_name, component_name, alert_state, changed_at, alert_text)
      values ?`,
      [rows],
    );
  }
}
