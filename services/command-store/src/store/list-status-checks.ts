import type { Knex } from "knex";
import { query } from "../database/query.js";

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
  /** In no order. */
  readonly hostIds: readonly number[];
}

type ClusterColumns = Omit<CheckedRow, "service" | "component" | "hostIds">;

/**
 * Every component of which one can ask whether it runs, by cluster and component. Two statements; reads the whole fleet, of which the
 * database makes a row a component: a row a host would keep this process from everything else for seconds.
 */
export async function listChecked(db: Knex): Promise<CheckedRow[]> {
  const clusters = await query<ClusterColumns>(
    db,
    `select cluster_id as clusterId, name as cluster, version as clusterVersion, configurations_digest as configurations,
      topology_digest as topology, metadata_digest as metadata from cluster`,
  );
  const byId = new Map(clusters.map((cluster) => [cluster.clusterId, cluster]));
  const rows = await query<
    Pick<CheckedRow, "clusterId" | "service" | "component"> & { hostIds: string }
  >(
    db,
    `select cluster_id as clusterId, service_name as service, component_name as component,
      cast(json_arrayagg(host_id) as char) as hostIds
    from host_component where client = 0 and current_state in ('INSTALLED', 'STARTED', 'UNKNOWN')
    group by cluster_id, component_name, service_name order by cluster_id, component_name`,
  );
  return rows.flatMap(({ hostIds, ...row }) => {
    // A cluster that was made since is checked the next time.
    const cluster = byId.get(row.clusterId);
    if (cluster === undefined) return [];
    return [{ ...cluster, ...row, hostIds: JSON.parse(hostIds) as number[] }];
  });
}
