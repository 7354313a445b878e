import type { AlertState } from "@howdah/proto/howdah/v1/alert";
import { query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";
import { fromStoredState } from "./alert-states.js";
import { type AlertFilter, narrowed } from "./list-alerts.js";

/** How many alerts of a definition are in a state. */
export interface AlertCounts {
  readonly definitionId: number;
  readonly state: AlertState;
  readonly count: number;
  /** How many of them are on hosts, or of components on hosts, that are in maintenance. */
  readonly onHostsInMaintenance: number;
}

/** What is in maintenance, as far as it concerns alerts. */
export interface MaintainedHosts {
  readonly hostIds: readonly number[];
  /** Definitions whose component is in maintenance on a host. */
  readonly pairs: readonly (readonly [definitionId: number, hostId: number])[];
}

/** Counts the alerts of a filter by definition and state. Reads an index of all of them. */
export async function countAlerts(
  db: Database,
  filter: AlertFilter,
  { hostIds, pairs }: MaintainedHosts,
): Promise<AlertCounts[]> {
  const { index, where, bindings } = narrowed(filter);
  const maintained: string[] = [];
  const all: Binding[] = [];
  if (hostIds.length > 0) {
    maintained.push("a.host_id in (?)");
    all.push(hostIds);
  }
  if (pairs.length > 0) {
    maintained.push("(a.definition_id, a.host_id) in (?)");
    all.push(pairs);
  }
  const rows = await query<Omit<AlertCounts, "onHostsInMaintenance"> & { maintained: number }>(
    db,
    `select a.definition_id as definitionId, a.alert_state + 0 as state, count(*) as count,
      cast(coalesce(sum(${maintained.join(" or ") || "0"}), 0) as signed) as maintained
    from alert_current a force index (${index}) where ${where.join(" and ")}
    group by a.definition_id, a.alert_state`,
    [...all, ...bindings],
  );
  return rows.map(({ maintained: onHosts, ...row }) => ({
    ...row,
    state: fromStoredState(row.state),
    onHostsInMaintenance: Number(onHosts),
  }));
}
