import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type AlertDefinition,
  AlertDefinitionsSchema,
  AlertSourceType,
  type ClusterAlerts,
} from "@howdah/proto/howdah/v1/alert";
import type { CachedDocuments } from "../command-json.js";
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import { type HostAlert, numberOf } from "./host-alert.js";

/** More no host has of one cluster. */
const mostAlerts = 2_000;
const defaultTolerance = 1;
const mostTolerance = 100;
const onServer = new Set([AlertSourceType.AGGREGATE, AlertSourceType.SERVER]);

/** Reads a document of definitions; throws an Error that says in one line why it is none. */
export function readDefinitions(document: JsonObject): AlertDefinition[] {
  const { definitions } = fromJson(AlertDefinitionsSchema, document as JsonValue, {
    ignoreUnknownFields: true,
  });
  const seen = new Set<bigint>();
  for (const { name, definitionId } of definitions) {
    if (name === "" || definitionId <= 0n) throw new Error("a definition without a name or an id");
    if (seen.has(definitionId)) throw new Error(`two definitions with the id ${definitionId}`);
    seen.add(definitionId);
  }
  return definitions;
}

/**
 * Which of a cluster's definitions a host watches: those of its components; those of a service whose MASTER it has; those of the hosts
 * themselves. None that the server finds out, and none that is switched off.
 * @param hostName in lower case
 */
export function alertsOfHost(
  definitions: readonly AlertDefinition[],
  cluster: ClusterAlerts,
  { topology, configurations }: Pick<CachedDocuments, "topology" | "configurations">,
  hostName: string,
): HostAlert[] {
  const components = componentsOfHost(topology, hostName);
  const masters = new Set(cluster.masterComponents);
  const own = new Set(components.map(({ service, component }) => `${service}/${component}`));
  const mastered = new Set(
    components.filter(({ component }) => masters.has(component)).map(({ service }) => service),
  );
  const isOwn = ({ serviceName, componentName, sourceType, enabled }: AlertDefinition) => {
    if (!enabled || onServer.has(sourceType)) return false;
    if (serviceName === "AMBARI") return componentName === "AMBARI_AGENT";
    return componentName === ""
      ? mastered.has(serviceName)
      : own.has(`${serviceName}/${componentName}`);
  };
  const tolerance = clusterTolerance(configurations);
  return definitions
    .filter(isOwn)
    .slice(0, mostAlerts)
    .map((definition) => ({
      clusterId: cluster.clusterId,
      clusterName: cluster.clusterName,
      definition,
      tolerance: within(definition.repeatTolerance ?? tolerance),
    }));
}

function clusterTolerance({ configurations }: JsonObject): number {
  const environment = isJsonObject(configurations) ? configurations["cluster-env"] : undefined;
  const value = isJsonObject(environment) ? environment.alerts_repeat_tolerance : undefined;
  return numberOf(value) ?? defaultTolerance;
}

function within(tolerance: number): number {
  return Math.min(mostTolerance, Math.max(1, Math.floor(tolerance)));
}

interface Placed {
  readonly service: string;
  readonly component: string;
}

function componentsOfHost(topology: JsonObject, hostName: string): Placed[] {
  const own = objects(topology.hosts).find(
    (host) => String(host.hostName).toLowerCase() === hostName,
  );
  if (own === undefined) return [];
  return objects(topology.components)
    .filter(({ hostIds }) => Array.isArray(hostIds) && hostIds.includes(own.hostId as Json))
    .map(({ serviceName, componentName }) => ({
      service: String(serviceName),
      component: String(componentName),
    }));
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as readonly Json[]).filter(isJsonObject) : [];
}
