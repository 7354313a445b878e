import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  ClusterSchema,
  type ClusterService,
  ClusterServiceSchema,
  type Host,
  HostSchema,
  HostState,
  type Maintenance,
  MaintenanceSchema,
} from "@howdah/proto/howdah/v1/fleet";
import {
  type ConfigurationVersion,
  ConfigurationVersionSchema,
  type InMaintenance,
  InMaintenanceSchema,
} from "@howdah/proto/howdah/v1/fleet_service";
import type { StoredTypeVersion } from "../store/list-configuration-versions.js";
import { parseLabels } from "../store/list-hosts.js";
import type { ListedMaintenance, MaintenanceRow } from "../store/list-maintenance.js";
import type { ClusterSummary } from "../store/read-cluster.js";
import type { HostRow } from "../store/read-hosts.js";
import type { StoredCluster } from "./cluster.js";
import { maskSecrets } from "./cluster-configuration.js";

/** A host as callers see it. Connected is a host whose session is open; HEALTHY it is a while longer. */
export function toHost(row: HostRow): Host {
  const connected = row.open === 1;
  return create(HostSchema, {
    hostId: BigInt(row.host_id),
    hostName: row.host_name,
    state: HostState[row.state],
    connected,
    ...(row.state === "HEARTBEAT_LOST" ? { lostAt: timestampFromMs(row.lost_at) } : {}),
    labels: parseLabels(row.labels),
    agentVersion: row.agent_version,
    ...(row.registered_at > 0 ? { registeredAt: timestampFromMs(row.registered_at) } : {}),
    ...(!connected && row.closed_at ? { disconnectedAt: timestampFromMs(row.closed_at) } : {}),
    peerAddress: row.peer_address ?? "",
    factsJson: row.facts,
    dispatcher: connected ? (row.dispatcher ?? "") : "",
    sessionEpoch: BigInt(row.session_epoch ?? 0),
    problems: row.problems === null ? [] : (JSON.parse(row.problems) as string[]),
    statusJson: row.status ?? "",
    ...(row.maintenance_since === null
      ? {}
      : {
          maintenance: toMaintenance({
            reason: row.maintenance_reason ?? "",
            since: row.maintenance_since,
          }),
        }),
  });
}

/** A host with no more than its first problem: ten thousand of them fit into a message. */
export function toBriefHost(row: HostRow): Host {
  const host = toHost(row);
  host.problems = host.problems.slice(0, 1).map((text) => text.slice(0, 100));
  return host;
}

/** A cluster without its configurations. */
export function toClusterSummary(cluster: ClusterSummary): Cluster {
  return create(ClusterSchema, {
    clusterId: BigInt(cluster.clusterId),
    name: cluster.name,
    stack: `${cluster.stackName}/${cluster.stackVersion}`,
    services: cluster.services.map((name) => toService(name, cluster)),
    version: BigInt(cluster.version),
  });
}

/** Maintenance as callers see it. */
export function toMaintenance({ reason, since }: MaintenanceRow): Maintenance {
  return create(MaintenanceSchema, { reason, since: timestampFromMs(since) });
}

/** What is in maintenance, as callers see it. */
export function toInMaintenance(row: ListedMaintenance): InMaintenance {
  const { hostId, hostName, cluster, serviceName, componentName } = row;
  return create(InMaintenanceSchema, {
    ...{ hostId: BigInt(hostId), hostName, cluster, serviceName, componentName },
    maintenance: toMaintenance(row),
  });
}

function toService(name: string, { placements, maintenance }: ClusterSummary): ClusterService {
  const row = maintenance.get(name);
  return create(ClusterServiceSchema, {
    name,
    ...(row === undefined ? {} : { maintenance: toMaintenance(row) }),
    components: placements
      .filter((placement) => placement.service === name)
      .map(({ component, hostNames, autoStart }) => ({
        ...{ name: component, hostNames: [...hostNames] },
        ...(autoStart === undefined ? {} : { autoStart }),
      })),
  });
}

/** A cluster with its configurations, secrets masked. */
export function toCluster(stored: StoredCluster): Cluster {
  const cluster = toClusterSummary(stored);
  for (const [type, { version, selected, content }] of stored.types) {
    if (!selected) continue;
    cluster.configurations[type] = {
      $typeName: "howdah.v1.Configuration",
      properties: maskSecrets(content),
      version,
    };
  }
  return cluster;
}

/** A version of a configuration type, secrets masked. */
export function toConfigurationVersion(stored: StoredTypeVersion): ConfigurationVersion {
  return create(ConfigurationVersionSchema, {
    version: stored.version,
    createdAt: timestampFromMs(stored.createdAt),
    properties: maskSecrets(stored.content),
    selected: stored.selected,
  });
}
