import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Cluster, Host, HostComponentSchema } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService, InMaintenanceSchema } from "@howdah/proto/howdah/v1/fleet_service";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { StackService } from "@howdah/proto/howdah/v1/stack_service";

/** What a fake store says of hosts, clusters and stacks. */
export interface FleetContent {
  readonly hosts: readonly Host[];
  readonly clusters: readonly Cluster[];
  /** What is in maintenance; hosts have it in `hosts` too. */
  readonly maintenance: MessageInitShape<typeof InMaintenanceSchema>[];
  /** What is known of components; nothing, for those that are not in it. */
  readonly hostComponents: MessageInitShape<typeof HostComponentSchema>[];
  readonly stack: { readonly stack: StackDefinition; readonly digest: string } | undefined;
  /** Called before what is in maintenance is listed. */
  readonly beforeMaintenance: () => Promise<void> | undefined;
  /** The calls that planning made, by name. */
  readonly reads: string[];
}

/** The fleet's calls; `check` throws while the store is away. */
export function fakeFleet(
  content: FleetContent,
  check: () => void,
): Partial<ServiceImpl<typeof FleetService>> {
  return {
    listHosts: ({ selector }) => {
      check();
      content.reads.push("listHosts");
      const { names = [], labels = {} } = selector ?? {};
      const fits = (host: Host) =>
        (names.length === 0 || names.includes("*") || names.includes(host.hostName)) &&
        Object.entries(labels).every(([key, value]) => host.labels[key] === value);
      return { hosts: content.hosts.filter(fits) };
    },
    listHostComponents: ({ serversOnly }) => {
      check();
      content.reads.push("listHostComponents");
      const hostComponents = content.hostComponents.filter(
        ({ client = false }) => !(serversOnly && client),
      );
      return { hostComponents };
    },
    listMaintenance: async () => {
      check();
      content.reads.push("listMaintenance");
      await content.beforeMaintenance();
      return { entries: content.maintenance };
    },
    getCluster: ({ name, configurationTypes: types }) => {
      check();
      content.reads.push("getCluster");
      const cluster = content.clusters.find((one) => one.name === name);
      const isAsked = ([type]: [string, unknown]) => types.length === 0 || types.includes(type);
      if (cluster !== undefined) {
        const configurations = Object.entries(cluster.configurations ?? {}).filter(isAsked);
        return { cluster: { ...cluster, configurations: Object.fromEntries(configurations) } };
      }
      throw new ConnectError(`there is no cluster ${name}`, Code.NotFound);
    },
  };
}

/** The stacks' calls; `check` throws while the store is away. */
export function fakeStacks(
  content: FleetContent,
  check: () => void,
): Partial<ServiceImpl<typeof StackService>> {
  return {
    listStacks: () => {
      check();
      content.reads.push("listStacks");
      if (content.stack === undefined) return {};
      const { digest, stack } = content.stack;
      return { stacks: [{ name: stack.name, version: stack.version, digest }] };
    },
    getStack: ({ name, version }) => {
      check();
      content.reads.push("getStack");
      const { stack } = content.stack ?? {};
      if (stack?.name === name && stack.version === version) return content.stack ?? {};
      throw new ConnectError(`there is no stack ${name}/${version}`, Code.NotFound);
    },
  };
}
