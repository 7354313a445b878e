import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** Whether a host of a cluster is heard from. */
export interface Heartbeat {
  readonly hostId: number;
  readonly hostName: string;
  /** Since when it is lost; undefined while it is not. */
  readonly lostAt: number | undefined;
}

/** The hosts of a cluster, by name. */
export async function readHeartbeats(db: Database, clusterId: number): Promise<Heartbeat[]> {
  const rows = await query<{ hostId: number; hostName: string; state: string; lostAt: number }>(
    db,
    `select h.host_id as hostId, h.host_name as hostName, h.state, h.lost_at as lostAt
    from (select distinct host_id from host_component where cluster_id = ?) c
      join host h on h.host_id = c.host_id order by h.host_name`,
    [clusterId],
  );
  return rows.map(({ state, lostAt, ...host }) => ({
    ...host,
    lostAt: state === "HEARTBEAT_LOST" ? lostAt : undefined,
  }));
}

/** An alert that a host has not checked for twice its interval. */
export interface ListedStale {
  readonly name: string;
  readonly hostName: string;
  readonly since: number;
  readonly intervalMinutes: number;
}

/**
 * The stale alerts of a cluster, by name and host, at most 10,000: not those of hosts that are lost, which have an alert of their own, nor of
 * what is in maintenance.
 */
export function listStaleAlerts(db: Database, clusterId: number): Promise<ListedStale[]> {
  return query(
    db,
    `select d.name, h.host_name as hostName, s.since, d.interval_minutes as intervalMinutes
    from alert_definition d straight_join alert_stale s force index (definition) on s.definition_id = d.definition_id
      straight_join host h on h.host_id = s.host_id
    where d.cluster_id = ? and d.enabled = 1 and h.state = 'HEALTHY'
      and not exists (select 1 from maintenance m where m.cluster_id = 0 and m.service_name = '' and m.component_name = ''
        and m.host_id = s.host_id)
      and not exists (select 1 from maintenance m where m.cluster_id = d.cluster_id and m.service_name = d.service_name
        and m.component_name = '' and m.host_id = 0)
      and not exists (select 1 from maintenance m where m.cluster_id = d.cluster_id and m.service_name = d.service_name
        and m.component_name = d.component_name and m.host_id = s.host_id)
    order by d.name, h.host_name limit 10000`,
    [clusterId],
  );
}
