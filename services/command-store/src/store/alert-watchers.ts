import { fromBinary } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionSchema,
  ClusterAlertsSchema,
} from "@howdah/proto/howdah/v1/alert";
import { jsonRows } from "../database/json-rows.js";
import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A definition and what counts for it in its cluster. */
export interface KnownDefinition {
  readonly clusterId: number;
  readonly clusterVersion: number;
  readonly definitionId: number;
  readonly definition: AlertDefinition;
  /** After how many checks in a row a state is HARD: its own, else the cluster's. */
  readonly tolerance: number;
  /** The MASTER components of its cluster. */
  readonly masters: readonly string[];
}

/** Those of the definitions that are there and enabled, by id. */
export async function readKnownDefinitions(
  db: Database,
  ids: readonly number[],
): Promise<Map<number, KnownDefinition>> {
  if (ids.length === 0) return new Map();
  const rows = await query<{ definitionId: number; clusterId: number; definition: Buffer }>(
    db,
    `select definition_id as definitionId, cluster_id as clusterId, definition from alert_definition
    where definition_id in (?) and enabled = 1`,
    [ids],
  );
  const clusters = await readAlertClusters(db, [
    ...new Set(rows.map(({ clusterId }) => clusterId)),
  ]);
  return new Map(
    rows.flatMap(({ definitionId, clusterId, definition: data }) => {
      const cluster = clusters.get(clusterId);
      if (cluster === undefined) return [];
      const definition = fromBinary(AlertDefinitionSchema, data);
      const { version: clusterVersion, masters, repeatTolerance } = cluster;
      const tolerance = definition.repeatTolerance ?? repeatTolerance;
      return [
        [definitionId, { clusterId, clusterVersion, definitionId, definition, tolerance, masters }],
      ];
    }),
  );
}

interface AlertCluster {
  readonly version: number;
  readonly repeatTolerance: number;
  readonly masters: readonly string[];
}

async function readAlertClusters(
  db: Database,
  ids: readonly number[],
): Promise<Map<number, AlertCluster>> {
  if (ids.length === 0) return new Map();
  const rows = await query<{
    clusterId: number;
    version: number;
    repeatTolerance: number;
    targets: Buffer | null;
  }>(
    db,
    `select cluster_id as clusterId, version, alerts_repeat_tolerance as repeatTolerance, alert_targets as targets
    from cluster where cluster_id in (?)`,
    [ids],
  );
  return new Map(
    rows.map(({ clusterId, targets, ...row }) => {
      const masters =
        targets === null ? [] : fromBinary(ClusterAlertsSchema, targets).masterComponents;
      return [clusterId, { ...row, masters }];
    }),
  );
}

/** Tells whether a host watches a definition. */
export type Watches = (hostId: number, known: KnownDefinition) => boolean;

/** What these hosts watch: by the components that are on each [S 9.2]. */
export async function readWatches(db: Database, hostIds: readonly number[]): Promise<Watches> {
  const byHost = new Map<string, { service: string; component: string }[]>();
  const keyOf = (hostId: number, clusterId: number) => `${hostId}/${clusterId}`;
  if (hostIds.length > 0) {
    const rows = await query<{
      hostId: number;
      clusterId: number;
      service: string;
      component: string;
    }>(
      db,
      `select host_id as hostId, cluster_id as clusterId, service_name as service, component_name as component
      from host_component force index (host) where host_id in (?)`,
      [hostIds],
    );
    for (const { hostId, clusterId, service, component } of rows) {
      const key = keyOf(hostId, clusterId);
      const there = byHost.get(key);
      if (there === undefined) byHost.set(key, [{ service, component }]);
      else there.push({ service, component });
    }
  }
  return (hostId, { clusterId, definition, masters }) => {
    const there = byHost.get(keyOf(hostId, clusterId));
    if (there === undefined) return false;
    const { serviceName, componentName } = definition;
    if (serviceName === "AMBARI") return componentName === "AMBARI_AGENT";
    return there.some(
      ({ service, component }) =>
        service === serviceName &&
        (componentName === "" ? masters.includes(component) : component === componentName),
    );
  };
}

/** Those of the hosts whose open session is the one named, with their names, by id. */
export async function readReporters(
  db: Database,
  sessions: readonly { readonly hostId: number; readonly sessionEpoch: number }[],
): Promise<Map<number, string>> {
  if (sessions.length === 0) return new Map();
  const rows = await query<{ hostId: number; hostName: string }>(
    db,
    `select h.host_id as hostId, h.host_name as hostName
    from ${jsonRows("v", { host_id: "bigint", epoch: "bigint" })}
      straight_join session s force index (primary) on s.host_id = v.host_id and s.session_epoch = v.epoch and s.open = 1
      straight_join host h force index (primary) on h.host_id = v.host_id`,
    [JSON.stringify(sessions.map(({ hostId, sessionEpoch }) => [hostId, sessionEpoch]))],
  );
  return new Map(rows.map(({ hostId, hostName }) => [hostId, hostName]));
}
