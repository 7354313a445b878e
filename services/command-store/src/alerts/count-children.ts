import { type AlertDefinition, AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import { AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";
import type { Database } from "../database/together.js";
import { fromStoredFirmness, fromStoredState } from "../store/alert-states.js";
import { countFirmAlerts } from "../store/due-alerts.js";
import type { MaintenanceKey } from "../store/list-maintenance.js";
import { aggregate, type ChildCounts, type Reporting } from "./aggregate.js";
import { readSource } from "./definition-checks.js";

/** The name of the alerts that an AGGREGATE counts; undefined for another definition. */
export function childNameOf({ sourceType, sourceJson }: AlertDefinition): string | undefined {
  if (sourceType !== AlertSourceType.AGGREGATE) return undefined;
  const read = readSource(sourceJson, sourceType);
  const name = "source" in read ? read.source.alert_name : undefined;
  return typeof name === "string" ? name : "";
}

/** What an AGGREGATE finds. `child`: the definition that it names, if there is one that is enabled. */
export async function evaluateAggregate(
  db: Database,
  definition: AlertDefinition,
  child: AlertDefinition | undefined,
  maintained: readonly MaintenanceKey[],
): Promise<{ state: AlertState; text: string }> {
  const childName = childNameOf(definition) ?? "";
  if (child === undefined) {
    const text = `There is no alert definition ${childName} in the cluster that is enabled`;
    return { state: AlertState.UNKNOWN, text };
  }
  const read = readSource(definition.sourceJson, definition.sourceType);
  const reporting = "source" in read ? read.source.reporting : undefined;
  const counts = await countChildren(db, child, maintained);
  return aggregate(childName, counts, (reporting ?? {}) as Reporting);
}

async function countChildren(
  db: Database,
  { definitionId, serviceName, componentName }: AlertDefinition,
  maintained: readonly MaintenanceKey[],
): Promise<ChildCounts> {
  const isService = (each: MaintenanceKey) => each.hostId === 0 && each.serviceName === serviceName;
  const isComponent = (each: MaintenanceKey) =>
    each.serviceName === serviceName && each.componentName === componentName;
  const hosts = maintained
    .filter((each) => each.hostId > 0 && (each.clusterId === 0 || isComponent(each)))
    .map(({ hostId }) => hostId);
  const all = maintained.some(isService);
  const counts = { ok: 0, warning: 0, critical: 0, unknown: 0 };
  for (const row of await countFirmAlerts(db, Number(definitionId), hosts)) {
    const inMaintenance = all ? row.count : row.onHostsInMaintenance;
    const isSure = fromStoredFirmness(row.firmness) === AlertFirmness.HARD;
    const state = isSure ? fromStoredState(row.state) : AlertState.OK;
    counts[nameOf(state)] += row.count - inMaintenance;
    counts.ok += inMaintenance;
  }
  return counts;
}

function nameOf(state: AlertState): keyof ChildCounts {
  switch (state) {
    case AlertState.CRITICAL:
      return "critical";
    case AlertState.WARNING:
      return "warning";
    case AlertState.UNKNOWN:
      return "unknown";
    default:
      return "ok";
  }
}
