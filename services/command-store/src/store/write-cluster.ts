import { canonicalJson } from "../canonical-json.js";
import { isDuplicate, StaleReadError } from "../database/database-errors.js";
import { execute } from "../database/query.js";
import type { Transaction } from "../database/together.js";
import type { ClusterContent, ClusterHost, DocumentDigests, Placement } from "../fleet/cluster.js";
import type { AutoStartStep, ClusterPlan } from "../fleet/cluster-plan.js";
import type { ComponentMarks } from "../fleet/component-marks.js";
import { forgetMaintenance } from "./write-maintenance.js";

const rowsAtOnce = 1_000;

/**
 * Makes the row of a new cluster, at version 0 and without documents, and returns its id.
 * `StaleReadError` when somebody else has just made a cluster of this name.
 */
export async function insertCluster(
  trx: Transaction,
  { name, stackName, stackVersion }: ClusterContent,
): Promise<number> {
  try {
    const { insertId } = await execute(
      trx,
      `insert into cluster (name, stack_name, stack_version, version,
        configurations_digest, topology_digest, metadata_digest) values (?, ?, ?, 0, '', '', '')`,
      [name, stackName, stackVersion],
    );
    return insertId;
  } catch (error) {
    if (isDuplicate(error)) throw new StaleReadError(`cluster ${name} is there already`);
    throw error;
  }
}

/** Gives a cluster its next version, stack and documents. `StaleReadError` when it is not at `version` any more. */
export async function advanceCluster(
  trx: Transaction,
  clusterId: number,
  version: number,
  stack: { readonly name: string; readonly version: string },
  digests: DocumentDigests,
): Promise<void> {
  const { affectedRows } = await execute(
    trx,
    `update cluster set version = version + 1, stack_name = ?, stack_version = ?,
      configurations_digest = ?, topology_digest = ?, metadata_digest = ?
    where cluster_id = ? and version = ?`,
    [
      stack.name,
      stack.version,
      digests.configurations,
      digests.topology,
      digests.metadata,
      clusterId,
      version,
    ],
  );
  if (affectedRows !== 1) throw new StaleReadError(`cluster ${clusterId} has changed`);
}

/**
 * Writes what a plan changes in services, components and configurations. `hosts` must have every host of the plan's `put`.
 */
export async function writeClusterParts(
  trx: Transaction,
  clusterId: number,
  plan: ClusterPlan,
  hosts: readonly ClusterHost[],
  marks: ComponentMarks,
): Promise<void> {
  if (plan.removedServices.length > 0) {
    await execute(trx, "delete from cluster_service where cluster_id = ? and service_name in (?)", [
      clusterId,
      plan.removedServices,
    ]);
    for (const service of plan.removedServices) {
      await forgetMaintenance(trx, clusterId, { service });
    }
  }
  if (plan.addedServices.length > 0) {
    await execute(trx, "insert into cluster_service (cluster_id, service_name) values ?", [
      plan.addedServices.map((service) => [clusterId, service]),
    ]);
  }
  await removeComponents(trx, clusterId, plan.taken);
  await addComponents(trx, clusterId, plan.put, hosts);
  await writeAutoStart(trx, clusterId, plan.autoStart);
  await markComponents(trx, clusterId, marks);
  await writeTypes(trx, clusterId, plan);
}

async function removeComponents(
  trx: Transaction,
  clusterId: number,
  taken: readonly Placement[],
): Promise<void> {
  for (const { service, component, hostNames } of taken) {
    await execute(
      trx,
      `delete from host_component where cluster_id = ? and component_name = ? and service_name = ?
        and host_id in (select host_id from host where host_name in (?))`,
      [clusterId, component, service, hostNames],
    );
    await forgetMaintenance(trx, clusterId, { service, component, hostNames });
  }
}

async function addComponents(
  trx: Transaction,
  clusterId: number,
  put: readonly Placement[],
  hosts: readonly ClusterHost[],
): Promise<void> {
  const now = Date.now();
  const ids = new Map(hosts.map((host) => [host.hostName, host.hostId]));
  const rows = put.flatMap(({ service, component, hostNames }) =>
    hostNames.map((name) => {
      const hostId = ids.get(name);
      if (hostId === undefined) throw new Error(`host ${name} is not among the hosts given`);
      return [clusterId, component, hostId, service, name, "INIT", "INIT", now];
    }),
  );
  for (let start = 0; start < rows.length; start += rowsAtOnce) {
    await execute(
      trx,
      `insert into host_component (cluster_id, component_name, host_id, service_name, host_name, desired_state,
        current_state, changed_at) values ?`,
      [rows.slice(start, start + rowsAtOnce)],
    );
  }
}

/** Writes what the cluster says about who starts components; the table has nothing else. */
async function writeAutoStart(
  trx: Transaction,
  clusterId: number,
  steps: readonly AutoStartStep[],
): Promise<void> {
  if (steps.length === 0) return;
  await execute(
    trx,
    "delete from auto_start where cluster_id = ? and (service_name, component_name) in (?)",
    [clusterId, steps.map(({ service, component }) => [service, component])],
  );
  const said = steps.filter(({ enabled }) => enabled !== undefined);
  if (said.length === 0) return;
  await execute(
    trx,
    "insert into auto_start (cluster_id, service_name, component_name, enabled) values ?",
    [said.map((step) => [clusterId, step.service, step.component, step.enabled ? 1 : 0])],
  );
}

/** Marks the cluster's components as its stack has it now; touches none that is marked so already. */
export async function markComponents(
  trx: Transaction,
  clusterId: number,
  { clients, autoStarted }: ComponentMarks,
): Promise<void> {
  for (const [column, names] of [
    ["client", clients],
    ["auto_start", autoStarted],
  ] as const) {
    await execute(
      trx,
      `update host_component set ${column} = 1 - ${column}
      where cluster_id = ? and ${column} <> if(component_name in (?), 1, 0)`,
      // An empty list is no SQL; no component has an empty name.
      [clusterId, ["", ...names]],
    );
  }
}

async function writeTypes(
  trx: Transaction,
  clusterId: number,
  { types }: ClusterPlan,
): Promise<void> {
  if (types.length === 0) return;
  await execute(
    trx,
    "update cluster_config set selected = 0 where cluster_id = ? and selected = 1 and type_name in (?)",
    [clusterId, types.map((step) => step.type)],
  );
  const again = types.filter((step) => step.kind === "select");
  if (again.length > 0) {
    await execute(
      trx,
      "update cluster_config set selected = 1 where cluster_id = ? and (type_name, version) in (?)",
      [clusterId, again.map((step) => [step.type, step.version])],
    );
  }
  const now = Date.now();
  // A type may have megabytes: one row a statement keeps each below the server's limit.
  for (const step of types) {
    if (step.kind !== "make") continue;
    const { properties, final, secret } = step.content;
    await execute(
      trx,
      `insert into cluster_config (cluster_id, type_name, version, selected, config_data, config_attributes, create_time)
      values (?, ?, ?, 1, ?, ?, ?)`,
      [
        clusterId,
        step.type,
        step.version,
        canonicalJson(properties),
        canonicalJson({ final, secret }),
        now,
      ],
    );
  }
}
