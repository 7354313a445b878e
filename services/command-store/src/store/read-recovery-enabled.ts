import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** Whether a cluster lets agents start components by themselves: `recovery_enabled` of its `cluster-env`, which is false by default. */
export async function readRecoveryEnabled(db: Database, clusterId: number): Promise<boolean> {
  const [newest] = await query<{ selected: number; data: string }>(
    db,
    `select selected, config_data as data from cluster_config where cluster_id = ? and type_name = 'cluster-env'
    order by version desc limit 1`,
    [clusterId],
  );
  if (newest?.selected !== 1) return false;
  const properties = JSON.parse(newest.data) as Record<string, string>;
  return properties.recovery_enabled?.trim().toLowerCase() === "true";
}
