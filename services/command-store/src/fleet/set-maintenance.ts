import type { SetMaintenanceRequest } from "@howdah/proto/howdah/v1/fleet_service";
import type { Knex } from "knex";
import type { Database } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { invalidArgument } from "../invalid.js";
import { insertRecounts } from "../store/cluster-alerts.js";
import { listHostKeys } from "../store/list-hosts.js";
import type { MaintenanceKey } from "../store/list-maintenance.js";
import { type ClusterSummary, listClusters } from "../store/read-cluster.js";
import { readClusterHosts } from "../store/read-cluster-hosts.js";
import {
  deleteMaintenance,
  keyName,
  readMaintenance,
  writeMaintenance,
} from "../store/write-maintenance.js";
import { listed } from "./cluster.js";
import { type CheckedMaintenance, checkSetMaintenance } from "./maintenance-requests.js";

/** Something that can be in maintenance, and how people call it. */
interface Thing {
  readonly key: MaintenanceKey;
  readonly name: string;
}

/**
 * Turns maintenance on or off for what the request names. Returns a sentence for each change.
 * Throws INVALID_ARGUMENT for what is not there; nothing is changed then.
 */
export function setMaintenance(
  db: Knex,
  request: SetMaintenanceRequest,
  now: number,
): Promise<string[]> {
  const checked = checkSetMaintenance(request);
  const { on, reason } = checked;
  return inTransaction(db, async (trx) => {
    const things = await thingsOf(trx, checked);
    const keys = things.map(({ key }) => key);
    const before = await readMaintenance(trx, keys);
    const isOther = ({ key }: Thing) => {
      const was = before.get(keyName(key));
      return on ? was !== reason : was !== undefined;
    };
    const changing = things.filter(isOther);
    const changed = changing.map(({ key }) => key);
    if (on) await writeMaintenance(trx, changed, reason, now);
    else await deleteMaintenance(trx, changed);
    // What is in maintenance counts as OK where alerts are counted.
    const clusters = new Set(changed.map(({ clusterId }) => clusterId));
    await insertRecounts(
      trx,
      [...clusters].map((clusterId) => [clusterId, 0]),
    );
    return changing.map(({ name, key }) => {
      if (!on) return `${name} is no longer in maintenance`;
      const why = reason === "" ? "" : `: ${reason}`;
      return before.has(keyName(key))
        ? `${name} stays in maintenance, with another reason${why}`
        : `${name} is in maintenance${why}`;
    });
  });
}

function thingsOf(trx: Database, checked: CheckedMaintenance): Promise<Thing[]> {
  switch (checked.kind) {
    case "hosts":
      return hostThings(trx, checked);
    case "service":
      return serviceThings(trx, checked);
    case "components":
      return componentThings(trx, checked);
  }
}

const keysAtOnce = 5_000;

async function hostThings(
  db: Database,
  { filter, shown }: CheckedMaintenance & { kind: "hosts" },
): Promise<Thing[]> {
  const things: Thing[] = [];
  const missing = new Set(filter.exactNames);
  for (let from = ""; ; ) {
    const keys = await listHostKeys(db, from, { names: filter.exactNames }, keysAtOnce);
    for (const { hostId, hostName, labels } of keys) {
      from = hostName;
      missing.delete(hostName);
      if (!filter.matches(hostName, labels)) continue;
      const key = { clusterId: 0, serviceName: "", componentName: "", hostId };
      things.push({ key, name: hostName });
    }
    if (keys.length < keysAtOnce) break;
  }
  if (missing.size > 0) {
    throw invalidArgument(`hosts: no agent has ever registered as ${listed([...missing])}`);
  }
  if (things.length === 0) throw invalidArgument(`hosts: ${shown} selects no host`);
  return things;
}

async function serviceThings(
  db: Database,
  { cluster, service }: CheckedMaintenance & { kind: "service" },
): Promise<Thing[]> {
  const { clusterId, name } = await clusterWith(db, cluster, service);
  const key = { clusterId, serviceName: service, componentName: "", hostId: 0 };
  return [{ key, name: `${service} of ${name}` }];
}

async function componentThings(
  db: Database,
  { cluster, service, components, filter, shown }: CheckedMaintenance & { kind: "components" },
): Promise<Thing[]> {
  const found = await clusterWith(db, cluster, service);
  const { placements } = found;
  const inService = placements.filter((each) => service === "" || each.service === service);
  const hosts = await readClusterHosts(db, [
    ...new Set(inService.flatMap(({ hostNames }) => hostNames)),
  ]);
  const ids = new Map(hosts.map(({ hostName, hostId }) => [hostName, hostId]));
  const selected = filter && (await selectedHosts(db, filter, [...ids.keys()]));
  const things: Thing[] = [];
  for (const component of components) {
    const places = inService.filter((each) => each.component === component);
    if (places.length === 0) {
      const there = [...new Set(inService.map((each) => each.component))];
      throw invalidArgument(
        `components: ${component} is on no host of ${found.name}; there are ${listed(there)}`,
      );
    }
    const on = places.flatMap(({ service: serviceName, hostNames }) =>
      hostNames.map((hostName) => ({ serviceName, hostName })),
    );
    const wanted = on.filter(({ hostName }) => selected?.has(hostName) ?? true);
    const lacking = (filter?.exactNames ?? []).filter(
      (host) => !on.some(({ hostName }) => hostName === host),
    );
    if (lacking.length > 0) {
      throw invalidArgument(`hosts: ${listed(lacking)} has no ${component} of ${found.name}`);
    }
    if (wanted.length === 0)
      throw invalidArgument(`hosts: ${shown} selects no host with ${component}`);
    for (const { serviceName, hostName } of wanted) {
      const hostId = ids.get(hostName) ?? 0;
      const { clusterId } = found;
      const key = { clusterId, serviceName, componentName: component, hostId };
      things.push({ key, name: `${component} on ${hostName}` });
    }
  }
  return things;
}

async function selectedHosts(
  db: Database,
  filter: NonNullable<(CheckedMaintenance & { kind: "components" })["filter"]>,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const keys = await listHostKeys(db, "", { names: ["", ...names] }, names.length + 1);
  return new Set(
    keys
      .filter(({ hostName, labels }) => filter.matches(hostName, labels))
      .map(({ hostName }) => hostName),
  );
}

/** The cluster of this name, the only one when it is empty; with the service, if one is named. */
async function clusterWith(db: Database, name: string, service: string): Promise<ClusterSummary> {
  const clusters = await listClusters(db);
  const names = clusters.map((cluster) => cluster.name);
  const [only] = clusters;
  const cluster =
    name === "" && clusters.length === 1 ? only : clusters.find((each) => each.name === name);
  if (cluster === undefined) {
    const there = names.length === 0 ? "there is none yet" : `there are ${names.join(", ")}`;
    throw invalidArgument(
      name === "" ? `cluster: is empty; ${there}; name one` : `cluster: no ${name}; ${there}`,
    );
  }
  if (service !== "" && !cluster.services.includes(service)) {
    throw invalidArgument(
      `service: ${service} is not in cluster ${cluster.name}, which has ${listed(cluster.services)}`,
    );
  }
  return cluster;
}
