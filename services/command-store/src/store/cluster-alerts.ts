import { StaleReadError } from "../database/database-errors.js";
import { bytes, execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";

/** What a cluster's row says about its alerts. */
export interface ClusterAlertsRow {
  readonly definitionsDigest: string;
  /** A serialised howdah.v1.ClusterAlerts with what follows from the stack; null before there was any. */
  readonly targets: Buffer | null;
  readonly repeatTolerance: number;
}

/** Reads what a cluster's row says about its alerts. */
export async function readClusterAlerts(
  db: Database,
  clusterId: number,
): Promise<ClusterAlertsRow | undefined> {
  const [row] = await query<ClusterAlertsRow>(
    db,
    `select alert_definitions_digest as definitionsDigest, alert_targets as targets,
      alerts_repeat_tolerance as repeatTolerance from cluster where cluster_id = ?`,
    [clusterId],
  );
  return row;
}

/** Writes what a cluster's row says about its alerts; the caller has given the cluster its next version. */
export async function writeClusterAlerts(
  trx: Transaction,
  clusterId: number,
  { targets, repeatTolerance }: { targets: Uint8Array; repeatTolerance: number },
): Promise<void> {
  await execute(
    trx,
    "update cluster set alert_targets = ?, alerts_repeat_tolerance = ? where cluster_id = ?",
    [bytes(targets), repeatTolerance, clusterId],
  );
}

/** Names the document of a cluster's definitions. */
export async function writeDefinitionsDigest(
  trx: Transaction,
  clusterId: number,
  digest: string,
): Promise<void> {
  await execute(trx, "update cluster set alert_definitions_digest = ? where cluster_id = ?", [
    digest,
    clusterId,
  ]);
}

/** Gives a cluster its next version. `StaleReadError` when it is not at `version` any more. */
export async function raiseClusterVersion(
  trx: Transaction,
  clusterId: number,
  version: number,
): Promise<void> {
  const { affectedRows } = await execute(
    trx,
    "update cluster set version = version + 1 where cluster_id = ? and version = ?",
    [clusterId, version],
  );
  if (affectedRows !== 1) throw new StaleReadError(`cluster ${clusterId} has changed`);
}

/** Has aggregates counted again: those over alerts of a definition, of a whole cluster (definition 0), or all (0, 0). */
export async function insertRecounts(
  trx: Transaction,
  counted: readonly (readonly [clusterId: number, definitionId: number])[],
): Promise<void> {
  if (counted.length === 0) return;
  await execute(trx, "insert into alert_recount (cluster_id, definition_id) values ?", [counted]);
}

const isWatched = `d.component_name not in ('', 'AMBARI_AGENT') and exists (select 1 from host_component p
    where p.cluster_id = d.cluster_id and p.component_name = d.component_name and p.host_id = v.host_id)
  or d.component_name = '' and exists (select 1 from host_component p force index (host)
    where p.host_id = v.host_id and p.cluster_id = d.cluster_id and p.service_name = d.service_name and p.component_name in (?))
  or d.service_name = 'AMBARI' and exists (select 1 from host_component p force index (host)
    where p.host_id = v.host_id and p.cluster_id = d.cluster_id)`;

/** Deletes the alerts of hosts that do not watch them any more. `masters`: the MASTER components of the cluster. */
export async function deleteUnwatched(
  trx: Transaction,
  clusterId: number,
  hostNames: readonly string[],
  masters: readonly string[],
): Promise<void> {
  for (let start = 0; start < hostNames.length; start += 200) {
    const names = hostNames.slice(start, start + 200);
    for (const table of ["alert_current", "alert_stale"]) {
      await execute(
        trx,
        `delete v from host h straight_join ${table} v on v.host_id = h.host_id
          straight_join alert_definition d on d.definition_id = v.definition_id
        where h.host_name in (?) and d.cluster_id = ? and not (${isWatched})`,
        [names, clusterId, ["", ...masters]],
      );
    }
  }
  // Of what the whole cluster has one of, when nobody is left who could find it out.
  await execute(
    trx,
    `delete v from alert_definition d straight_join alert_current v on v.definition_id = d.definition_id and v.host_id = 0
    where d.cluster_id = ? and d.source_type not in ('AGGREGATE', 'SERVER') and d.service_name <> 'AMBARI'
      and not exists (select 1 from host_component p where p.cluster_id = d.cluster_id and p.service_name = d.service_name
        and (p.component_name = d.component_name or d.component_name = '' and p.component_name in (?)))`,
    [clusterId, ["", ...masters]],
  );
}
