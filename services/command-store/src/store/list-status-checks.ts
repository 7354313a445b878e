import type { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A component whose status is to be checked, with where it is and what its cluster is like. */
export interface CheckedRow {
  readonly clusterId: number;
  readonly cluster: string;
  readonly clusterVersion: number;
  readonly configurations: string;
  readonly topology: string;
  readonly metadata: string;
  readonly service: string;
  readonly component: string;
  /** Whether agents start it by themselves. */
  readonly autoStart: boolean;
  /** What it is wanted to be, where agents are to see to that; 0: not stated. */
  readonly desired: ComponentState | 0;
  /** The request that said so; 0 with `desired`. */
  readonly desiredRequestId: number;
  /** In no order. */
  readonly hostIds: readonly number[];
}

type ComponentColumns = Pick<
  CheckedRow,
  "clusterId" | "service" | "component" | "desired" | "desiredRequestId"
> & { readonly autoStart: number; readonly hostIds: string };
type ClusterColumns = Omit<CheckedRow, Exclude<keyof ComponentColumns, "clusterId">>;

/**
 * Every component of which one can ask whether it runs, by cluster and component, and by what it is wanted to be where agents start it
 * by themselves. Two statements, three with auto start; reads the whole fleet, of which the database makes a row a component: a row a
 * host would keep this process from everything else for seconds.
 */
export async function listChecked(db: Database): Promise<CheckedRow[]> {
  const clusters = await query<ClusterColumns>(
    db,
    `select cluster_id as clusterId, name as cluster, version as clusterVersion, configurations_digest as configurations,
      topology_digest as topology, metadata_digest as metadata from cluster`,
  );
  const byId = new Map(clusters.map((cluster) => [cluster.clusterId, cluster]));
  const found = await query<ComponentColumns>(db, selectComponents);
  // Read after them: what a request wants that came in between is not in the rows, and what it was before is known to be old.
  const busy = found.some(({ desired }) => desired !== 0) ? await readBusy(db) : undefined;
  return found.flatMap(({ hostIds: json, autoStart, ...row }) => {
    // A cluster that was made since is checked the next time.
    const cluster = byId.get(row.clusterId);
    if (cluster === undefined) return [];
    const made = { ...cluster, ...row, autoStart: autoStart === 1 };
    const hostIds = JSON.parse(json) as number[];
    const working = row.desired === 0 ? undefined : busy?.get(`${row.clusterId}/${row.component}`);
    if (working === undefined) return [{ ...made, hostIds }];
    return [
      { ...made, hostIds: hostIds.filter((id) => !working.has(id)) },
      {
        ...made,
        desired: 0,
        hostIds: hostIds.filter((id) => working.has(id)),
      },
    ].filter((each) => each.hostIds.length > 0) as CheckedRow[];
  });
}

const inMaintenance = `exists (select 1 from maintenance m where m.cluster_id = 0 and m.service_name = ''
    and m.component_name = '' and m.host_id = hc.host_id)
  or exists (select 1 from maintenance m where m.cluster_id = hc.cluster_id and m.service_name = hc.service_name
    and m.component_name = '' and m.host_id = 0)
  or exists (select 1 from maintenance m where m.cluster_id = hc.cluster_id and m.service_name = hc.service_name
    and m.component_name = hc.component_name and m.host_id = hc.host_id)`;

// What a command of it has in its hands stays among those that are started by their agents: a server that goes away meanwhile must not
// leave an agent that has forgotten it.
const selectComponents = `select clusterId, service, component, autoStart, desired,
    if(desired = 0, 0, requestId) as desiredRequestId, cast(json_arrayagg(hostId) as char) as hostIds
  from (
    select hc.cluster_id as clusterId, hc.service_name as service, hc.component_name as component, hc.host_id as hostId,
      hc.auto_start as autoStart, hc.desired_request_id as requestId,
      if(hc.auto_start = 1 and hc.desired_state in ('INSTALLED', 'STARTED') and not (${inMaintenance}), hc.desired_state + 0, 0)
        as desired
    from host_component hc
    where hc.client = 0 and (hc.current_state in ('INSTALLED', 'STARTED', 'UNKNOWN')
      or hc.auto_start = 1 and hc.current_state in ('STARTING', 'STOPPING', 'INSTALL_FAILED'))
  ) found
  group by clusterId, component, service, autoStart, desired, desiredRequestId order by clusterId, component, desiredRequestId`;

/** By `CLUSTER/COMPONENT` the hosts on which a request that is not over, or is still being made, has something to do to it. */
async function readBusy(db: Database): Promise<Map<string, ReadonlySet<number>>> {
  const rows = await query<{ clusterId: number; component: string; hostIds: string }>(
    db,
    `select r.cluster_id as clusterId, t.role as component, cast(json_arrayagg(t.host_id) as char) as hostIds
    from request r force index (open) straight_join host_role_command t force index (request) on t.request_id = r.request_id
    where r.open is not null and r.cluster_id > 0 and t.component_command is not null
      and t.status in ('PENDING', 'QUEUED', 'IN_PROGRESS', 'HOLDING', 'HOLDING_FAILED', 'HOLDING_TIMEDOUT', 'UNKNOWN')
    group by r.cluster_id, t.role`,
  );
  return new Map(
    rows.map(({ clusterId, component, hostIds }) => [
      `${clusterId}/${component}`,
      new Set(JSON.parse(hostIds) as number[]),
    ]),
  );
}
