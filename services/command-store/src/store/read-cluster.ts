import { query } from "../database/query.js";
import type { Statement } from "../database/statement.js";
import { type Database, together } from "../database/together.js";
import type {
  ClusterContent,
  Placement,
  StoredCluster,
  TypeContent,
  TypeVersion,
} from "../fleet/cluster.js";
import { compareHostNames } from "../fleet/cluster.js";
import { type ServiceMaintenanceRow, selectServiceMaintenance } from "./list-maintenance.js";

interface ClusterRow {
  readonly cluster_id: number;
  readonly name: string;
  readonly stack_name: string;
  readonly stack_version: string;
  readonly version: number;
  readonly configurations_digest: string;
  readonly topology_digest: string;
  readonly metadata_digest: string;
}

/** A cluster without its configurations. */
export type ClusterSummary = Omit<ClusterContent, "configurations"> &
  Pick<StoredCluster, "clusterId" | "version" | "digests" | "maintenance">;

/** The names of all clusters, sorted. */
export async function listClusterNames(db: Database): Promise<string[]> {
  const rows = await query<{ name: string }>(db, "select name from cluster order by name");
  return rows.map((row) => row.name);
}

/** All clusters by name, or those of one stack. */
export async function listClusters(
  db: Database,
  stack?: { readonly name: string; readonly version: string },
): Promise<ClusterSummary[]> {
  const rows = await query<ClusterRow>(
    db,
    `select * from cluster ${stack === undefined ? "" : "where stack_name = ? and stack_version = ?"}
    order by name`,
    stack === undefined ? [] : [stack.name, stack.version],
  );
  return readParts(db, rows);
}

/**
 * The cluster of this name with its configurations. Several statements: read it in a snapshot, or guard by `version`.
 * @param only configurations of these types; of all by default
 */
export async function readCluster(
  db: Database,
  name: string,
  only: readonly string[] = [],
): Promise<StoredCluster | undefined> {
  const rows = await query<ClusterRow>(db, "select * from cluster where name = ?", [name]);
  const [summary] = await readParts(db, rows);
  if (summary === undefined) return undefined;
  const types = await readNewestTypes(db, summary.clusterId, only);
  const configurations = new Map<string, TypeContent>();
  for (const [type, { selected, content }] of types) {
    if (selected) configurations.set(type, content);
  }
  return { ...summary, configurations, types };
}

/** A cluster's own row. */
export interface ClusterHeader {
  readonly clusterId: number;
  readonly version: number;
  readonly name: string;
  readonly stackName: string;
  readonly stackVersion: string;
  readonly configurationsDigest: string;
}

/** Reads the row of the cluster of this name. */
export async function readClusterHeader(
  db: Database,
  name: string,
): Promise<ClusterHeader | undefined> {
  const [row] = await query<ClusterHeader>(
    db,
    `select cluster_id as clusterId, version, name, stack_name as stackName, stack_version as stackVersion,
      configurations_digest as configurationsDigest from cluster where name = ?`,
    [name],
  );
  return row;
}

async function readParts(db: Database, clusters: readonly ClusterRow[]): Promise<ClusterSummary[]> {
  if (clusters.length === 0) return [];
  const ids = clusters.map((cluster) => cluster.cluster_id);
  const of = (sql: string): Statement => ({ sql, bindings: [ids] });
  const answers = await together(db, [
    of(
      `select cluster_id, service_name from cluster_service where cluster_id in (?) order by service_name`,
    ),
    // A row for each host of each component would take most of the time of reading a large cluster.
    of(`select cluster_id, service_name, component_name, group_concat(host_name separator '/') as host_names
      from host_component where cluster_id in (?) group by cluster_id, service_name, component_name
      order by service_name, component_name`),
    selectServiceMaintenance(ids),
    of(
      `select cluster_id, service_name, component_name, enabled from auto_start where cluster_id in (?)`,
    ),
  ]);
  const [services, components, maintenance, autoStart] = answers as unknown as [
    { cluster_id: number; service_name: string }[],
    PlacementRow[],
    ServiceMaintenanceRow[],
    AutoStartRow[],
  ];
  return clusters.map((row) => ({
    clusterId: row.cluster_id,
    name: row.name,
    stackName: row.stack_name,
    stackVersion: row.stack_version,
    version: row.version,
    digests: {
      configurations: row.configurations_digest,
      topology: row.topology_digest,
      metadata: row.metadata_digest,
    },
    services: services
      .filter((each) => each.cluster_id === row.cluster_id)
      .map((each) => each.service_name),
    maintenance: new Map(
      maintenance
        .filter((each) => each.clusterId === row.cluster_id)
        .map(({ serviceName, reason, since }) => [serviceName, { reason, since }]),
    ),
    placements: placements(
      components.filter((each) => each.cluster_id === row.cluster_id),
      autoStart.filter((each) => each.cluster_id === row.cluster_id),
    ),
  }));
}

interface AutoStartRow {
  readonly cluster_id: number;
  readonly service_name: string;
  readonly component_name: string;
  readonly enabled: number;
}

interface PlacementRow {
  readonly cluster_id: number;
  readonly service_name: string;
  readonly component_name: string;
  /** With a character between them that is in no host's name. */
  readonly host_names: string;
}

function placements(
  rows: readonly PlacementRow[],
  autoStart: readonly AutoStartRow[],
): Placement[] {
  const said = new Map(autoStart.map((row) => [`${row.service_name}/${row.component_name}`, row]));
  return rows.map(({ service_name: service, component_name: component, host_names }) => {
    const enabled = said.get(`${service}/${component}`)?.enabled;
    return {
      ...{ service, component },
      hostNames: host_names.split("/").sort(compareHostNames),
      autoStart: enabled === undefined ? undefined : enabled === 1,
    };
  });
}

async function readNewestTypes(
  db: Database,
  clusterId: number,
  only: readonly string[],
): Promise<Map<string, TypeVersion>> {
  const isOne = only.length === 0 ? "" : "and type_name in (?)";
  const rows = await query<{
    type_name: string;
    version: number;
    selected: number;
    config_data: string;
    config_attributes: string;
  }>(
    db,
    `select c.type_name, c.version, c.selected, c.config_data, c.config_attributes
    from cluster_config c join (
      select type_name, max(version) as version from cluster_config where cluster_id = ? ${isOne} group by type_name
    ) newest on newest.type_name = c.type_name and newest.version = c.version
    where c.cluster_id = ? order by c.type_name`,
    [clusterId, ...(only.length === 0 ? [] : [only]), clusterId],
  );
  return new Map(
    rows.map((row) => [
      row.type_name,
      {
        version: row.version,
        selected: row.selected === 1,
        content: parseTypeContent(row.config_data, row.config_attributes),
      },
    ]),
  );
}

/** A type's content as `cluster_config` keeps it. */
export function parseTypeContent(data: string, attributes: string): TypeContent {
  const { final, secret } = JSON.parse(attributes) as { final: string[]; secret: string[] };
  return { properties: JSON.parse(data) as Record<string, string>, final, secret };
}
