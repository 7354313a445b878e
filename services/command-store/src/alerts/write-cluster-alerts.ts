import { randomUUID } from "node:crypto";
import { create, fromBinary, toJson } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionsSchema,
  AlertSourceType,
  ClusterAlertsSchema,
} from "@howdah/proto/howdah/v1/alert";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { canonicalJson } from "../canonical-json.js";
import type { Database, Transaction } from "../database/together.js";
import type { ClusterContent } from "../fleet/cluster.js";
import {
  deleteAlertDefinitions,
  deleteAlertsOf,
  insertAlertDefinitions,
  readAlertDefinitions,
  updateAlertDefinition,
} from "../store/alert-definitions.js";
import {
  deleteUnwatched,
  insertRecounts,
  readClusterAlerts,
  writeClusterAlerts,
  writeDefinitionsDigest,
} from "../store/cluster-alerts.js";
import { putDocument } from "../store/put-package.js";
import {
  clusterTargets,
  type DefinitionsPlan,
  definitionsOf,
  isRunByAgents,
  planDefinitions,
  repeatToleranceOf,
} from "./plan-definitions.js";

/** What has to be done about a cluster's alerts. */
export interface AlertsPlan {
  readonly definitions: DefinitionsPlan;
  readonly targets: Uint8Array;
  readonly repeatTolerance: number;
  /** False when nothing has to be done. */
  readonly changed: boolean;
}

/** What must change in the alerts of a cluster that is to be as `next` says; everything is new without an id. */
export async function planAlerts(
  trx: Database,
  clusterId: number | undefined,
  next: Pick<ClusterContent, "services" | "configurations">,
  stack: StackDefinition,
): Promise<AlertsPlan> {
  const stored = clusterId === undefined ? [] : await readAlertDefinitions(trx, clusterId);
  const row = clusterId === undefined ? undefined : await readClusterAlerts(trx, clusterId);
  const wanted = definitionsOf(stack, next.services);
  const definitions = planDefinitions(stored, wanted, randomUUID);
  const targets = clusterTargets(stack, next);
  const repeatTolerance = repeatToleranceOf(next);
  const { add, change, remove } = definitions;
  const changed =
    add.length + change.length + remove.length > 0 ||
    row?.targets?.equals(targets) !== true ||
    row.repeatTolerance !== repeatTolerance;
  return { definitions, targets, repeatTolerance, changed };
}

/**
 * Does what a plan says, in the transaction that has given the cluster its next version and components. `takenFrom`: the hosts that
 * lost components by it.
 */
export async function writeAlerts(
  trx: Transaction,
  clusterId: number,
  plan: AlertsPlan,
  takenFrom: readonly string[],
): Promise<void> {
  const { add, change, startAfresh, remove } = plan.definitions;
  const idsOf = (all: DefinitionsPlan["add"]) =>
    all.map(({ definition }) => Number(definition.definitionId));
  await deleteAlertDefinitions(trx, idsOf(remove));
  await deleteAlertsOf(trx, idsOf(startAfresh));
  for (const each of change) await updateAlertDefinition(trx, each, dueNow(each.definition));
  await insertAlertDefinitions(trx, clusterId, add, dueNow);
  await writeClusterAlerts(trx, clusterId, plan);
  const { masterComponents } = fromBinary(ClusterAlertsSchema, plan.targets);
  await deleteUnwatched(trx, clusterId, takenFrom, masterComponents);
  await insertRecounts(trx, [[clusterId, 0]]);
  await renewDocument(trx, clusterId);
}

/** What the server finds out is due at once. */
export function dueNow({ sourceType, enabled }: AlertDefinition): number | null {
  return sourceType === AlertSourceType.SERVER && enabled ? 0 : null;
}

/** Stores the document of a cluster's definitions as they are in this transaction, and names it in the cluster's row. */
export async function renewDocument(trx: Transaction, clusterId: number): Promise<void> {
  const stored = await readAlertDefinitions(trx, clusterId);
  const message = create(AlertDefinitionsSchema, {
    definitions: stored
      .map(({ definition }) => definition)
      .filter((definition) => definition.enabled && isRunByAgents(definition)),
  });
  const text = canonicalJson(toJson(AlertDefinitionsSchema, message));
  await writeDefinitionsDigest(trx, clusterId, await putDocument(trx, text));
}
