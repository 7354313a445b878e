import type { Knex } from "knex";
import { query } from "../database/query.js";

/** A component on a host whose status is to be checked, with what its cluster is like. */
export interface CheckedRow {
  readonly clusterId: number;
  readonly cluster: string;
  readonly clusterVersion: number;
  readonly configurations: string;
  readonly topology: string;
  readonly metadata: string;
  readonly service: string;
  readonly component: string;
  readonly hostId: number;
}

type ClusterColumns = Omit<CheckedRow, "service" | "component" | "hostId">;

/** Every component of which one can ask whether it runs, by cluster, component and host. Two statements; reads the whole fleet. */
export async function listChecked(db: Knex): Promise<CheckedRow[]> {
  const clusters = await query<ClusterColumns>(
    db,
    `select cluster_id as clusterId, name as cluster, version as clusterVersion, configurations_digest as configurations,
      topology_digest as topology, metadata_digest as metadata from cluster`,
  );
  const byId = new Map(clusters.map((cluster) => [cluster.clusterId, cluster]));
  const rows = await query<Pick<CheckedRow, "clusterId" | "service" | "component" | "hostId">>(
    db,
    `select cluster_id as clusterId, service_name as service, component_name as component, host_id as hostId
    from host_component where client = 0 and current_state in ('INSTALLED', 'STARTED', 'UNKNOWN')
    order by cluster_id, component_name, host_id`,
  );
  return rows.flatMap((row) => {
    // A cluster that was made since is checked the next time.
    const cluster = byId.get(row.clusterId);
    return cluster === undefined ? [] : [{ ...cluster, ...row }];
  });
}
