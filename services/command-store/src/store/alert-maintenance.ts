import { query } from "../database/query.js";
import type { Database } from "../database/together.js";
import type { MaintenanceKey, MaintenanceRow } from "./list-maintenance.js";

/** All that is in maintenance and may concern a cluster's alerts: hosts, and what is the cluster's own. */
export function readAlertMaintenance(
  db: Database,
  clusterId: number,
): Promise<(MaintenanceKey & MaintenanceRow)[]> {
  return query(
    db,
    `select cluster_id as clusterId, service_name as serviceName, component_name as componentName, host_id as hostId,
      reason, since from maintenance where cluster_id in (0, ?)`,
    [clusterId],
  );
}
