import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { AlertDefinition, AlertState } from "@howdah/proto/howdah/v1/alert";
import {
  type Alert,
  type AlertCount,
  AlertCountSchema,
  AlertSchema,
  type ListAlertsRequest,
} from "@howdah/proto/howdah/v1/alert_service";
import type { Knex } from "knex";
import { toMaintenance } from "../fleet/fleet-messages.js";
import { readAlertDefinitions } from "../store/alert-definitions.js";
import { readAlertMaintenance } from "../store/alert-maintenance.js";
import { storedStates } from "../store/alert-states.js";
import { countAlerts, type MaintainedHosts } from "../store/count-alerts.js";
import {
  type AlertFilter,
  type AlertPlace,
  type ListedAlert,
  listAlerts,
} from "../store/list-alerts.js";
import type { MaintenanceKey, MaintenanceRow } from "../store/list-maintenance.js";
import { findHostId } from "../store/list-tasks.js";
import { readStaleAlerts } from "../store/stale-alerts.js";

/** A page of alerts. */
export interface AlertPage {
  readonly alerts: Alert[];
  /** Where the next page begins; undefined at the end. */
  readonly last: AlertPlace | undefined;
  /** With the first page only, since they are counted one by one. */
  readonly counts: AlertCount[];
}

type Definitions = ReadonlyMap<number, AlertDefinition>;
type Maintained = MaintenanceKey & MaintenanceRow;

/** Reads a page of a cluster's alerts. Empty when the request names a definition or a host that there is not. */
export async function selectAlerts(
  db: Knex,
  clusterId: number,
  request: ListAlertsRequest,
  { limit, after }: { readonly limit: number; readonly after: AlertPlace | undefined },
): Promise<AlertPage> {
  const stored = await readAlertDefinitions(db, clusterId);
  const definitions: Definitions = new Map(
    stored.map(({ definition }) => [Number(definition.definitionId), definition]),
  );
  const filter = await toFilter(db, clusterId, request, definitions);
  if (filter === undefined) return { alerts: [], last: undefined, counts: [] };
  const maintained = await readAlertMaintenance(db, clusterId);
  const rows = await listAlerts(db, filter, request.states, after, limit + 1);
  const shown = rows.slice(0, limit);
  const stale = await readStaleAlerts(db, shown);
  const maintenanceOf = maintenanceLookup(maintained, definitions);
  return {
    // One whose definition has gone since is passed over.
    alerts: shown.flatMap((row) => {
      const definition = definitions.get(row.definitionId);
      const key = `${row.hostId}/${row.definitionId}`;
      return definition === undefined
        ? []
        : [toAlert(row, definition, maintenanceOf(row), stale.has(key))];
    }),
    last: rows.length > limit ? shown.at(-1) : undefined,
    counts: after === undefined ? await counted(db, filter, definitions, maintained) : [],
  };
}

async function toFilter(
  db: Knex,
  clusterId: number,
  { name, hostName, serviceName: service }: ListAlertsRequest,
  definitions: Definitions,
): Promise<AlertFilter | undefined> {
  const named = [...definitions].find(([, definition]) => definition.name === name);
  if (name !== "" && named === undefined) return undefined;
  const hostId = hostName === "" ? undefined : await findHostId(db, hostName.toLowerCase());
  if (hostName !== "" && hostId === undefined) return undefined;
  return { clusterId, definitionId: named?.[0], service, hostId };
}

/** Finds the maintenance that an alert is in: its host's, else its service's, else its component's. */
function maintenanceLookup(
  maintained: readonly Maintained[],
  definitions: Definitions,
): (row: ListedAlert) => Maintained | undefined {
  const keyOf = (host: number, service = "", component = "") => `${host}/${service}/${component}`;
  const found = new Map(
    maintained.map((each) => [keyOf(each.hostId, each.serviceName, each.componentName), each]),
  );
  return ({ definitionId, hostId, service }) =>
    (hostId > 0 ? found.get(keyOf(hostId)) : undefined) ??
    found.get(keyOf(0, service)) ??
    found.get(keyOf(hostId, service, definitions.get(definitionId)?.componentName));
}

async function counted(
  db: Knex,
  filter: AlertFilter,
  definitions: Definitions,
  maintained: readonly Maintained[],
): Promise<AlertCount[]> {
  const services = new Set(
    maintained.flatMap(({ hostId, serviceName }) => (hostId === 0 ? serviceName : [])),
  );
  const counts = new Map(
    storedStates.map((state): [AlertState, AlertCount] => [
      state,
      create(AlertCountSchema, { state }),
    ]),
  );
  for (const row of await countAlerts(db, filter, maintainedHosts(maintained, definitions))) {
    const total = counts.get(row.state);
    if (total === undefined) continue;
    const isMaintained = services.has(definitions.get(row.definitionId)?.serviceName ?? "");
    const inMaintenance = isMaintained ? row.count : row.onHostsInMaintenance;
    total.count += BigInt(row.count - inMaintenance);
    total.inMaintenance += BigInt(inMaintenance);
  }
  return [...counts.values()];
}

/** The hosts that are in maintenance, and the definitions of components that are so on a host. */
export function maintainedHosts(
  maintained: readonly Maintained[],
  definitions: Definitions,
): MaintainedHosts {
  const hostIds = maintained.flatMap(({ clusterId, hostId }) => (clusterId === 0 ? hostId : []));
  const components = maintained.filter(({ componentName }) => componentName !== "");
  const pairs = components.flatMap(({ serviceName, componentName, hostId }) =>
    [...definitions]
      .filter(
        ([, each]) => each.serviceName === serviceName && each.componentName === componentName,
      )
      .map(([id]) => [id, hostId] as const),
  );
  return { hostIds, pairs };
}

function toAlert(
  row: ListedAlert,
  { label, componentName }: AlertDefinition,
  maintained: Maintained | undefined,
  stale: boolean,
): Alert {
  return create(AlertSchema, {
    name: row.name,
    hostName: row.hostName,
    state: row.state,
    text: row.text,
    since: timestampFromMs(row.since),
    label,
    serviceName: row.service,
    componentName,
    firmness: row.firmness,
    occurrences: row.occurrences,
    toldAt: timestampFromMs(row.toldAt),
    ...(maintained && { maintenance: toMaintenance(maintained) }),
    stale,
  });
}
