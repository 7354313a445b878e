import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type Cluster,
  HostState as FleetHostState,
  type Host,
} from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { type ComponentsAsked, readComponentStates } from "./component-input.js";
import { invalidArgument } from "./invalid-argument.js";
import { listMaintenance, maintenanceOf } from "./maintenance-input.js";
import type { ComponentStates } from "./planner/component-states.js";
import type { InMaintenance } from "./planner/maintenance.js";
import type { ClusterTopology, HostState } from "./planner/plan-input.js";
import { describe, isEmpty, listHosts, plainNames, selectHosts } from "./select-hosts.js";
import type { StackCache } from "./stack-cache.js";

/** Where planning reads from. */
export interface PlanningSources {
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: StackCache;
}

/** What planning for a cluster needs. */
export interface ClusterInput {
  readonly cluster: ClusterTopology;
  readonly stack: StackDefinition;
  readonly hosts: readonly Host[];
  /** The hosts that the operation is limited to; undefined for no limit. */
  readonly selected: readonly string[] | undefined;
  /** Those that were named plainly. */
  readonly namedHosts: ReadonlySet<string>;
  readonly maintenance: InMaintenance;
  readonly states: ComponentStates;
}

/**
 * Reads what planning for a cluster needs, in one round trip while its stack is known and its components fit into one.
 * @throws ConnectError INVALID_ARGUMENT for a cluster or hosts that are not there
 */
export async function clusterInput(
  { fleet, stacks }: PlanningSources,
  kind: "service" | "custom_command" | "custom_action",
  asked: ComponentsAsked,
  signal: AbortSignal,
): Promise<ClusterInput> {
  const { cluster: name, hosts: selector } = asked;
  const field = `operation.${kind}`;
  const limited = selector !== undefined && !isEmpty(selector);
  const [cluster, states, digests, hosts, matching, entries] = await Promise.all([
    named(`${field}.cluster`, getCluster(fleet, name, signal)),
    named(`${field}.cluster`, readComponentStates(fleet, asked, signal)),
    stacks.digests(signal),
    listHosts(fleet, undefined, signal),
    limited ? selectHosts(fleet, selector, `${field}.hosts`, signal) : undefined,
    listMaintenance(fleet, signal),
  ]);
  const topology = topologyOf(cluster);
  const stack = await stacks.get(cluster.stack, digests, signal);
  const namedHosts = plainNames(selector);
  const maintenance = maintenanceOf(topology.name, hosts, entries);
  const input = { cluster: topology, stack, hosts, namedHosts, maintenance, states };
  if (matching === undefined) return { ...input, selected: undefined };
  const members = new Set([...topology.components.values()].flat());
  const selected = matching.map((host) => host.hostName).filter((host) => members.has(host));
  if (selected.length === 0 && limited) {
    throw invalidArgument(
      `${field}.hosts`,
      `${describe(selector)} selects no host of ${topology.name}`,
    );
  }
  return { ...input, selected };
}

async function getCluster(
  fleet: Client<typeof FleetService>,
  name: string,
  signal: AbortSignal,
): Promise<Cluster> {
  // All its configurations may be hundreds of KiB; of them planning goes by these.
  const configurationTypes = ["cluster-env"];
  const { cluster } = await fleet.getCluster({ name, configurationTypes }, { signal });
  if (cluster !== undefined) return cluster;
  throw new ConnectError(`cluster ${name} is empty`, Code.Internal);
}

/** What is read about something that the caller named in this field: it is for the caller to mend when it is not there. */
async function named<T>(field: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    throw code === Code.NotFound ? invalidArgument(field, rawMessage) : error;
  }
}

function topologyOf(cluster: Cluster): ClusterTopology {
  return {
    name: cluster.name,
    id: cluster.clusterId,
    services: cluster.services.map((service) => service.name),
    environment: cluster.configurations["cluster-env"]?.properties ?? {},
    components: new Map(
      cluster.services.flatMap((service) =>
        service.components.map((component) => [component.name, component.hostNames] as const),
      ),
    ),
  };
}

/** The hosts that are lost, as the host monitor says: one whose agent restarts is not. */
export function lostHosts(hosts: readonly Host[]): ReadonlyMap<string, HostState> {
  const lost = hosts.filter(({ state }) => state === FleetHostState.HEARTBEAT_LOST);
  return new Map(lost.map(({ hostName }) => [hostName, "LOST"]));
}
