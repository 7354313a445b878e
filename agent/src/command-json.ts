import { clusterHostInfoOf, expandClusterHostInfo } from "./cluster-host-info.js";
import { isJsonObject, type Json, type JsonObject } from "./json.js";

/** The documents an agent holds, as the server pushed them; each may be empty. */
export interface CachedDocuments {
  /** Of the command's cluster: `components` and `hosts`. */
  readonly topology: JsonObject;
  /** Of the command's cluster: `clusterLevelParams`, `serviceLevelParams` by service. */
  readonly metadata: JsonObject;
  /** Of all clusters: what metadata calls cluster -1. */
  readonly ambariLevelParams: JsonObject;
  /** `configurations`, `configurationAttributes`, `timestamp`. */
  readonly configurations: JsonObject;
  readonly hostLevelParams: JsonObject;
}

/** What the agent itself tells its scripts. */
export interface AgentFacts {
  readonly hostName: string;
  readonly publicHostName: string;
  readonly cacheDir: string;
  /** Default false. */
  readonly parallelExecution?: boolean;
  /** Default true. */
  readonly useSystemProxySettings?: boolean;
  /** By which stacks may mean this host's system, such as `redhat8`. Default none. */
  readonly systemNames?: readonly string[];
  /** What is this host's of a cluster's `hostLevelParams`, by the cluster's id. Default none. */
  readonly hostLevelParams?: (clusterId: string) => JsonObject;
  /** In the environment of every script. */
  readonly scriptVariables?: Readonly<Record<string, string>>;
}

/** What Ambari says of a component when its stack says nothing. */
const usualComponentParams: JsonObject = {
  clientsToUpdateConfigs: '["*"]',
  unlimited_key_jce_required: "false",
};

/**
 * The content of command-N.json: the header merged over the cached documents, objects key by key, everything else
 * replaced by the header's. A `clusterHostInfo` in the header replaces the topology's whole. A command that belongs to
 * no cluster (`clusterId` -1 or none) gets the agent's and the installation's parameters only.
 */
export function assembleCommandJson(
  header: JsonObject,
  cached: CachedDocuments,
  agent: AgentFacts,
): JsonObject {
  const base: Record<string, Json> = {
    ambariLevelParams: cached.ambariLevelParams,
    agentLevelParams: agentLevelParams(agent),
  };
  if (!hasCluster(header)) return deepMerge(base, withHostInfo(header));
  const component = componentOf(header, cached.topology);
  const services = cached.metadata.serviceLevelParams;
  const service = isJsonObject(services) ? services[String(header.serviceName)] : undefined;
  Object.assign(base, {
    clusterLevelParams: cached.metadata.clusterLevelParams ?? {},
    serviceLevelParams: service ?? {},
    hostLevelParams: {
      ...cached.hostLevelParams,
      ...agent.hostLevelParams?.(String(header.clusterId)),
    },
    configurations: cached.configurations.configurations ?? {},
    configurationAttributes: cached.configurations.configurationAttributes ?? {},
    componentVersionMap: componentVersions(cached.topology),
    componentLevelParams: component ? (component.componentLevelParams ?? usualComponentParams) : {},
    commandParams: component?.commandParams ?? {},
    localComponents: localComponents(cached.topology, agent.hostName),
    ...(isJsonObject(cached.metadata.repositoryFile) && {
      repositoryFile: cached.metadata.repositoryFile,
    }),
  });
  if (!isJsonObject(header.clusterHostInfo)) {
    base.clusterHostInfo = clusterHostInfoOf(cached.topology);
  }
  return deepMerge(base, withHostInfo(header));
}

/** Merges objects key by key; lists and plain values of `over` replace those of `base`. Neither is changed. */
export function deepMerge(base: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const former = merged[key];
    merged[key] = isJsonObject(former) && isJsonObject(value) ? deepMerge(former, value) : value;
  }
  return merged;
}

/** A command's JSON for a further try in place. */
export function withCommandBeingRetried(command: JsonObject): JsonObject {
  return deepMerge(command, { agentLevelParams: { commandBeingRetried: "true" } });
}

function agentLevelParams(agent: AgentFacts): JsonObject {
  return {
    hostname: agent.hostName,
    public_hostname: agent.publicHostName,
    agentCacheDir: agent.cacheDir,
    agentConfigParams: {
      agent: {
        parallel_execution: agent.parallelExecution ? 1 : 0,
        use_system_proxy_settings: agent.useSystemProxySettings ?? true,
      },
    },
  };
}

function hasCluster(header: JsonObject): boolean {
  const id = header.clusterId ?? null;
  return id !== null && id !== "" && String(id) !== "-1" && id !== "null";
}

function withHostInfo(header: JsonObject): JsonObject {
  const info = header.clusterHostInfo;
  return isJsonObject(info) ? { ...header, clusterHostInfo: expandClusterHostInfo(info) } : header;
}

function componentsOf(topology: JsonObject): JsonObject[] {
  const list = topology.components;
  return Array.isArray(list) ? (list as readonly Json[]).filter(isJsonObject) : [];
}

function componentOf(header: JsonObject, topology: JsonObject): JsonObject | undefined {
  return componentsOf(topology).find(
    (component) =>
      component.componentName === header.role && component.serviceName === header.serviceName,
  );
}

function componentVersions(topology: JsonObject): JsonObject {
  const versions: Record<string, Record<string, Json>> = {};
  for (const { serviceName, componentName, version } of componentsOf(topology)) {
    if (version === undefined) continue;
    const service = String(serviceName);
    versions[service] = { ...versions[service], [String(componentName)]: version };
  }
  return versions;
}

function localComponents(topology: JsonObject, hostName: string): Json[] {
  const hosts = Array.isArray(topology.hosts) ? (topology.hosts as readonly Json[]) : [];
  const own = hosts.filter(isJsonObject).find((host) => host.hostName === hostName);
  if (!own) return [];
  return componentsOf(topology)
    .filter(({ hostIds }) => Array.isArray(hostIds) && hostIds.includes(own.hostId as Json))
    .map(({ componentName }) => componentName ?? null);
}
