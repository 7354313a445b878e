import type { AlertDefinition, ClusterAlerts } from "@howdah/proto/howdah/v1/alert";
import { type AgentFacts, assembleCommandJson, type CachedDocuments } from "../command-json.js";
import type { JsonObject } from "../json.js";
import { readDocuments } from "../resolve-command.js";
import type { HostAlert } from "./host-alert.js";
import { alertsOfHost, readDefinitions } from "./host-alerts.js";

/** A cluster with all that its alerts need. */
export interface WatchedCluster {
  readonly cluster: ClusterAlerts;
  readonly documents: CachedDocuments;
  readonly definitions: readonly AlertDefinition[];
  /** Those that this host watches. */
  readonly alerts: readonly HostAlert[];
}

/** Thrown when a cluster's documents are there and make no sense. */
export class ClusterAlertsError extends Error {
  override readonly name = "ClusterAlertsError";
}

/**
 * Reads the documents that a cluster's alerts are made of.
 * @param read fetches what this host lacks
 * @throws ClusterAlertsError when the definitions are rubbish, and what `read` throws
 */
export async function readCluster(
  cluster: ClusterAlerts,
  read: (digest: string) => Promise<JsonObject>,
  hostName: string,
): Promise<WatchedCluster> {
  const [document, documents] = await Promise.all([
    read(cluster.definitionsDigest),
    readDocuments(cluster, read),
  ]);
  let definitions: AlertDefinition[];
  try {
    definitions = readDefinitions(document);
  } catch (error) {
    throw new ClusterAlertsError(
      `the alert definitions of ${cluster.clusterName} are none: ${(error as Error).message}`,
    );
  }
  const alerts = alertsOfHost(definitions, cluster, documents, hostName);
  return { cluster, documents, definitions, alerts };
}

/** What placeholders are looked up in: what a command of the component has in its JSON. Made once for each component of a cluster. */
export function createRoots(facts: AgentFacts) {
  const made = new WeakMap<WatchedCluster, Map<string, JsonObject>>();

  function rootOf(watched: WatchedCluster, alert: HostAlert): JsonObject {
    const { serviceName, componentName: role } = alert.definition;
    const roots = made.get(watched) ?? new Map<string, JsonObject>();
    made.set(watched, roots);
    const name = `${serviceName}/${role}`;
    const known = roots.get(name);
    if (known !== undefined) return known;
    const { clusterId, clusterName } = alert;
    const header = { clusterId: String(clusterId), clusterName, serviceName, role };
    const root = assembleCommandJson(header, watched.documents, facts);
    // The lists of a large cluster's hosts are kept once.
    const [{ clusterHostInfo } = root] = roots.values();
    const shared = { ...root, ...(clusterHostInfo !== undefined && { clusterHostInfo }) };
    roots.set(name, shared);
    return shared;
  }
  return rootOf;
}
