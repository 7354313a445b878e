import { execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";
import type { MaintenanceKey } from "./list-maintenance.js";

const rowsAtOnce = 1_000;
const keyColumns = "cluster_id, service_name, component_name, host_id";

const values = ({ clusterId, serviceName, componentName, hostId }: MaintenanceKey) =>
  [clusterId, serviceName, componentName, hostId] as const;

function* portions<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += rowsAtOnce) {
    yield all.slice(start, start + rowsAtOnce);
  }
}

/** The reason of each of these that is in maintenance, by `keyName`. */
export async function readMaintenance(
  db: Database,
  keys: readonly MaintenanceKey[],
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const portion of portions(keys)) {
    const rows = await query<MaintenanceKey & { reason: string }>(
      db,
      `select cluster_id as clusterId, service_name as serviceName, component_name as componentName, host_id as hostId, reason
      from maintenance where (${keyColumns}) in (?)`,
      [portion.map(values)],
    );
    for (const row of rows) found.set(keyName(row), row.reason);
  }
  return found;
}

/** A key as text. */
export function keyName(key: MaintenanceKey): string {
  return values(key).join("/");
}

/** Turns maintenance on. Where it is on it gets this reason and stays since when it was. */
export async function writeMaintenance(
  trx: Transaction,
  keys: readonly MaintenanceKey[],
  reason: string,
  now: number,
): Promise<void> {
  for (const portion of portions(keys)) {
    await execute(
      trx,
      `insert into maintenance (${keyColumns}, reason, since) values ? on duplicate key update reason = values(reason)`,
      [portion.map((key) => [...values(key), reason, now])],
    );
  }
}

/** Turns maintenance off. */
export async function deleteMaintenance(
  trx: Transaction,
  keys: readonly MaintenanceKey[],
): Promise<void> {
  for (const portion of portions(keys)) {
    await execute(trx, `delete from maintenance where (${keyColumns}) in (?)`, [
      portion.map(values),
    ]);
  }
}

/** Turns maintenance off for a service and its components, or for components on hosts, that leave their cluster. */
export async function forgetMaintenance(
  trx: Transaction,
  clusterId: number,
  gone: {
    readonly service: string;
    readonly component?: string;
    readonly hostNames?: readonly string[];
  },
): Promise<void> {
  const { service, component, hostNames } = gone;
  if (component === undefined || hostNames === undefined) {
    await execute(trx, "delete from maintenance where cluster_id = ? and service_name = ?", [
      clusterId,
      service,
    ]);
    return;
  }
  await execute(
    trx,
    `delete from maintenance where cluster_id = ? and service_name = ? and component_name = ?
      and host_id in (select host_id from host where host_name in (?))`,
    [clusterId, service, component, hostNames],
  );
}
