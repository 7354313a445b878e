import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { canonicalJson, sha256Hex } from "../canonical-json.js";
import {
  type ClusterContent,
  type ClusterHost,
  compareHostNames,
  type DocumentDigests,
} from "./cluster.js";
import { namedByProperties } from "./named-by-properties.js";

/** What agents assemble `command-N.json` from, in Ambari's words. Each is canonical JSON: equal content, equal digest. */
export interface ClusterDocuments {
  readonly configurations: string;
  readonly topology: string;
  readonly metadata: string;
}

/** The names that the documents are stored under. */
export function digestsOf(documents: ClusterDocuments): DocumentDigests {
  return {
    configurations: sha256Hex(documents.configurations),
    topology: sha256Hex(documents.topology),
    metadata: sha256Hex(documents.metadata),
  };
}

/**
 * What scripts expect among Ambari's own parameters [A 3.6], with what they are told unless a property of `cluster-env` of the same name
 * says otherwise; without a default only that property tells it. There is no Ambari server: scripts look up its address, few ever use it.
 */
const installationParameters: Readonly<Record<string, string | undefined>> = {
  agent_stack_retry_count: "5",
  agent_stack_retry_on_unavailability: "false",
  ambari_server_host: "localhost",
  ambari_server_port: "8080",
  ambari_server_use_ssl: "false",
  db_driver_filename: undefined,
  db_name: undefined,
  gpl_license_accepted: "false",
  host_sys_prepped: "false",
  java_home: undefined,
  java_version: "8",
  jce_name: undefined,
  jdk_location: undefined,
  jdk_name: undefined,
  mysql_jdbc_url: undefined,
  oracle_jdbc_url: undefined,
};

/** `{ configurations, configurationAttributes }`, with the secrets as they are: scripts need them. */
export function configurationsDocument(cluster: ClusterContent): string {
  const types = [...cluster.configurations];
  return canonicalJson({
    configurations: Object.fromEntries(types.map(([type, { properties }]) => [type, properties])),
    configurationAttributes: Object.fromEntries(
      types
        .filter(([, { final }]) => final.length > 0)
        .map(([type, { final }]) => [
          type,
          { final: Object.fromEntries(final.map((name) => [name, "true"])) },
        ]),
    ),
  });
}

/**
 * `{ clusterName, clusterId, components, hosts }`, as Ambari's topology: components name their hosts by id, and agents make
 * `clusterHostInfo` and `localComponents` of it [A 6.6]. The hosts of a cluster are those that a component is on. `hosts` must have
 * all of them, and may have more.
 */
export function topologyDocument(
  cluster: ClusterContent,
  clusterId: number,
  hosts: readonly ClusterHost[],
): string {
  const used = new Set(cluster.placements.flatMap((placement) => placement.hostNames));
  const members = hosts
    .filter((host) => used.has(host.hostName))
    .sort((a, b) => compareHostNames(a.hostName, b.hostName));
  const idOf = new Map(members.map(({ hostName, hostId }) => [hostName, hostId]));
  return canonicalJson({
    clusterName: cluster.name,
    clusterId,
    components: cluster.placements.map(({ service, component, hostNames }) => ({
      serviceName: service,
      componentName: component,
      hostIds: hostNames.map((name) => idOf.get(name)),
    })),
    // Scripts walk racks and addresses side by side with the host names, so neither may have a gap.
    hosts: members.map((host) => ({
      ...host,
      rackName: host.rackName ?? "/default-rack",
      ipv4: host.ipv4 ?? host.hostName,
    })),
  });
}

/**
 * `{ clusterLevelParams, serviceLevelParams, ambariLevelParams, repositoryFile, osPackages }`. Of the last agents make `package_list`,
 * which differs from system to system; scripts do not see it. No repositories are set up: that is the operator's.
 */
export function metadataDocument(cluster: ClusterContent, stack: StackDefinition): string {
  const environment = cluster.configurations.get("cluster-env")?.properties ?? {};
  return canonicalJson({
    clusterLevelParams: {
      cluster_name: cluster.name,
      stack_name: stack.name,
      stack_version: stack.version,
      ...(stack.hooksDigest === "" ? {} : { hooks_folder: "stack-hooks" }),
      ...namedByProperties(cluster, stack),
    },
    serviceLevelParams: Object.fromEntries(
      stack.services
        .filter((service) => cluster.services.includes(service.name))
        .map(({ name, version, packageFolder }) => [
          name,
          {
            version,
            ...(packageFolder === "" ? {} : { service_package_folder: packageFolder }),
            credentialStoreEnabled: false,
            status_commands_timeout: 300,
          },
        ]),
    ),
    repositoryFile: {
      stackName: stack.name,
      repoVersion: stack.version,
      repoVersionId: 1,
      repoFileName: `howdah-${stack.name.toLowerCase()}`,
      repositories: [],
      // Not scoped: scripts look for packages in every repository of the host.
      feature: { preInstalled: false, scoped: false },
      resolved: true,
    },
    osPackages: Object.fromEntries(
      stack.services
        .filter(({ name, osPackages }) => cluster.services.includes(name) && osPackages.length > 0)
        .map(({ name, osPackages }) => [
          name,
          osPackages.map(({ osFamilies, packages }) => ({
            osFamilies,
            packages: packages.map(({ name, condition, skipUpgrade }) => ({
              ...{ name, condition, skipUpgrade },
            })),
          })),
        ]),
    ),
    ambariLevelParams: Object.fromEntries(
      Object.entries(installationParameters)
        .map(([name, usual]) => [name, environment[name] ?? usual] as const)
        .filter(([, value]) => value !== undefined),
    ),
  });
}
