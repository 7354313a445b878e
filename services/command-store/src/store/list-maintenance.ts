import { query } from "../database/query.js";
import type { Statement } from "../database/statement.js";
import type { Database } from "../database/together.js";

/** What is in maintenance. A host: cluster 0 and no names. A service: host 0 and no component. Else a component on a host. */
export interface MaintenanceKey {
  readonly clusterId: number;
  readonly serviceName: string;
  readonly componentName: string;
  readonly hostId: number;
}

/** Why it is in maintenance, and since when. */
export interface MaintenanceRow {
  readonly reason: string;
  readonly since: number;
}

/** Something in maintenance, with the names that people know it by; empty where it has none. */
export type ListedMaintenance = MaintenanceKey &
  MaintenanceRow & { readonly hostName: string; readonly cluster: string };

/** The next of all that is in maintenance, in the order of the keys, behind `after`. */
export function listMaintenance(
  db: Database,
  after: MaintenanceKey,
  limit: number,
): Promise<ListedMaintenance[]> {
  // What its cluster has lost in the same moment in which it went into maintenance is passed over.
  return query(
    db,
    `select m.cluster_id as clusterId, m.service_name as serviceName, m.component_name as componentName,
      m.host_id as hostId, m.reason, m.since, coalesce(h.host_name, '') as hostName, coalesce(c.name, '') as cluster
    from maintenance m left join host h on h.host_id = m.host_id left join cluster c on c.cluster_id = m.cluster_id
    where (m.cluster_id, m.service_name, m.component_name, m.host_id) > (?, ?, ?, ?)
      and (m.cluster_id = 0
        or m.host_id = 0 and exists (select 1 from cluster_service s
          where s.cluster_id = m.cluster_id and s.service_name = m.service_name)
        or m.host_id > 0 and exists (select 1 from host_component p
          where p.cluster_id = m.cluster_id and p.component_name = m.component_name and p.host_id = m.host_id))
    order by m.cluster_id, m.service_name, m.component_name, m.host_id limit ?`,
    [after.clusterId, after.serviceName, after.componentName, after.hostId, limit],
  );
}

/** A service in maintenance. */
export type ServiceMaintenanceRow = MaintenanceRow & {
  readonly clusterId: number;
  readonly serviceName: string;
};

/** What reads the services of clusters that are in maintenance, as `ServiceMaintenanceRow`. */
export function selectServiceMaintenance(clusterIds: readonly number[]): Statement {
  return {
    sql: `select cluster_id as clusterId, service_name as serviceName, reason, since from maintenance
    where cluster_id in (?) and component_name = '' and host_id = 0`,
    bindings: [clusterIds],
  };
}
