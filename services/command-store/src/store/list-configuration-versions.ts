import { query } from "../database/query.js";
import type { Database } from "../database/together.js";
import type { TypeContent } from "../fleet/cluster.js";
import { parseTypeContent } from "./read-cluster.js";

/** A version of a configuration type, as the store has it. */
export interface StoredTypeVersion {
  readonly version: number;
  readonly createdAt: number;
  readonly selected: boolean;
  readonly content: TypeContent;
}

/** The versions of a type of a cluster, newest first, `limit` at most. */
export async function listConfigurationVersions(
  db: Database,
  clusterName: string,
  type: string,
  limit: number,
): Promise<StoredTypeVersion[]> {
  const rows = await query<{
    version: number;
    selected: number;
    create_time: number;
    config_data: string;
    config_attributes: string;
  }>(
    db,
    `select v.version, v.selected, v.create_time, v.config_data, v.config_attributes
    from cluster_config v join cluster c on c.cluster_id = v.cluster_id
    where c.name = ? and v.type_name = ? order by v.version desc limit ?`,
    [clusterName, type, limit],
  );
  return rows.map((row) => ({
    version: row.version,
    createdAt: row.create_time,
    selected: row.selected === 1,
    content: parseTypeContent(row.config_data, row.config_attributes),
  }));
}

/** The types that a cluster has or had, by name. */
export async function listConfigurationTypes(db: Database, clusterName: string): Promise<string[]> {
  const rows = await query<{ type_name: string }>(
    db,
    `select distinct v.type_name from cluster_config v join cluster c on c.cluster_id = v.cluster_id
    where c.name = ? order by v.type_name`,
    [clusterName],
  );
  return rows.map((row) => row.type_name);
}
