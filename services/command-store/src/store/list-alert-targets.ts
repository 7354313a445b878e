import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** What agents of a cluster are told, and who they are. */
export interface AlertTargetsRow {
  readonly clusterId: number;
  readonly name: string;
  readonly version: number;
  readonly definitions: string;
  readonly configurations: string;
  readonly topology: string;
  readonly metadata: string;
  /** A serialised howdah.v1.ClusterAlerts. */
  readonly targets: Buffer | null;
  readonly hostIds: readonly number[];
}

/** The versions of all clusters. */
export async function listClusterVersions(db: Database): Promise<Map<number, number>> {
  const rows = await query<{ clusterId: number; version: number }>(
    db,
    "select cluster_id as clusterId, version from cluster order by cluster_id",
  );
  return new Map(rows.map(({ clusterId, version }) => [clusterId, version]));
}

/** Reads clusters' alerts and hosts. Several statements: read them in a snapshot. */
export async function readAlertTargets(
  db: Database,
  clusterIds: readonly number[],
): Promise<AlertTargetsRow[]> {
  if (clusterIds.length === 0) return [];
  const clusters = await query<Omit<AlertTargetsRow, "hostIds">>(
    db,
    `select cluster_id as clusterId, name, version, alert_definitions_digest as definitions,
      configurations_digest as configurations, topology_digest as topology, metadata_digest as metadata,
      alert_targets as targets
    from cluster where cluster_id in (?) order by cluster_id`,
    [clusterIds],
  );
  const rows: AlertTargetsRow[] = [];
  for (const cluster of clusters) {
    const hosts = await query<{ hostId: number }>(
      db,
      "select distinct host_id as hostId from host_component where cluster_id = ? order by host_id",
      [cluster.clusterId],
    );
    rows.push({ ...cluster, hostIds: hosts.map(({ hostId }) => hostId) });
  }
  return rows;
}
