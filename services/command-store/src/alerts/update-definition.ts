import { randomUUID } from "node:crypto";
import { clone } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type AlertDefinition,
  AlertDefinitionSchema,
  AlertSourceType,
} from "@howdah/proto/howdah/v1/alert";
import type { UpdateAlertDefinitionRequest } from "@howdah/proto/howdah/v1/alert_service";
import type { Knex } from "knex";
import { inTransaction } from "../database/transaction.js";
import { noCluster } from "../fleet/find-cluster.js";
import { invalid } from "../invalid.js";
import {
  deleteAlertsOf,
  readAlertDefinitions,
  updateAlertDefinition,
} from "../store/alert-definitions.js";
import { insertRecounts, raiseClusterVersion } from "../store/cluster-alerts.js";
import { readClusterHeader } from "../store/read-cluster.js";
import { mostMinutes, mostRepeats, readSource, sourceProblem } from "./definition-checks.js";
import { editable, setTolerance } from "./plan-definitions.js";
import { dueNow, renewDocument } from "./write-cluster-alerts.js";

/** Checks what of an update does not depend on the definition. */
export function checkUpdate(request: UpdateAlertDefinitionRequest): void {
  const { name, intervalMinutes: minutes, repeatTolerance: repeats } = request;
  if (name === "") throw invalid("name", name, "is empty; say which definition");
  if (minutes !== undefined && (minutes < 1 || minutes > mostMinutes)) {
    throw invalid("interval_minutes", minutes, `must be from 1 to ${mostMinutes}`);
  }
  if (repeats !== undefined && (repeats < 0 || repeats > mostRepeats)) {
    throw invalid(
      "repeat_tolerance",
      repeats,
      `must be from 1 to ${mostRepeats}, or 0 for the cluster's`,
    );
  }
}

/**
 * Changes a definition of a cluster, and gives it as it is then. What it already is changes nothing. What is switched off loses its
 * current alerts. Throws NOT_FOUND, or INVALID_ARGUMENT for a source that cannot be.
 */
export function updateDefinition(
  db: Knex,
  cluster: string,
  request: UpdateAlertDefinitionRequest,
): Promise<AlertDefinition> {
  return inTransaction(db, async (trx) => {
    const header = await readClusterHeader(trx, cluster);
    if (header === undefined) throw await noCluster(trx, cluster);
    const { clusterId, version } = header;
    const [stored] = await readAlertDefinitions(trx, clusterId, { name: request.name });
    if (stored === undefined) throw noDefinition(cluster, request.name);
    const { definition, edited } = edit(stored.definition, request);
    if (edited === 0) return stored.definition;
    definition.uuid = randomUUID();
    // First the row that all writers of the cluster meet at, so that the loser does no work for nothing.
    await raiseClusterVersion(trx, clusterId, version);
    const next = { definition, edited: stored.edited | edited };
    await updateAlertDefinition(trx, next, dueNow(definition));
    const id = Number(definition.definitionId);
    if (!definition.enabled) await deleteAlertsOf(trx, [id]);
    // Both those that count its alerts and, if it is one that counts, itself.
    await insertRecounts(trx, [
      [clusterId, definition.sourceType === AlertSourceType.AGGREGATE ? 0 : id],
    ]);
    await renewDocument(trx, clusterId);
    return definition;
  });
}

/** The error of a definition that is not there. */
export function noDefinition(cluster: string, name: string): ConnectError {
  return new ConnectError(
    `cluster ${cluster} has no alert definition ${name}; \`howdah alert definitions\` lists those it has`,
    Code.NotFound,
  );
}

function edit(
  before: AlertDefinition,
  request: UpdateAlertDefinitionRequest,
): { definition: AlertDefinition; edited: number } {
  const definition = clone(AlertDefinitionSchema, before);
  let edited = 0;
  const { enabled, intervalMinutes, repeatTolerance, sourceJson } = request;
  if (enabled !== undefined && enabled !== before.enabled) {
    definition.enabled = enabled;
    edited |= editable.enabled;
  }
  if (intervalMinutes !== undefined && intervalMinutes !== before.intervalMinutes) {
    definition.intervalMinutes = intervalMinutes;
    edited |= editable.interval;
  }
  if (repeatTolerance !== undefined && repeatTolerance !== (before.repeatTolerance ?? 0)) {
    setTolerance(definition, repeatTolerance === 0 ? undefined : repeatTolerance);
    edited |= editable.tolerance;
  }
  if (sourceJson !== undefined) {
    const source = checkedSource(sourceJson, before.sourceType);
    if (source !== before.sourceJson) {
      definition.sourceJson = source;
      edited |= editable.source;
    }
  }
  return { definition, edited };
}

function checkedSource(json: string, type: AlertSourceType): string {
  const read = readSource(json, type);
  const problem = "problem" in read ? read.problem : sourceProblem(read.source, type);
  if (problem !== undefined) throw invalid("source_json", json, problem);
  return "source" in read ? JSON.stringify(read.source) : json;
}
