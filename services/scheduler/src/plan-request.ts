import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { Cluster, Host } from "@howdah/proto/howdah/v1/fleet";
import { HostState as FleetHostState } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import {
  type AdHocOperation,
  type CustomCommandOperation,
  ExecutionType,
  type HostSelector,
  OfflinePolicy,
  type Operation,
  type RequestOptions,
  type ServiceOperation,
} from "@howdah/proto/howdah/v1/operation";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import type { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { invalidArgument } from "./invalid-argument.js";
import { CycleError } from "./planner/cycle.js";
import {
  type ClusterTopology,
  type HostState,
  HostsOfflineError,
  InvalidOperationError,
  type Operation as PlannedOperation,
} from "./planner/operation.js";
import { planAdHoc } from "./planner/plan-ad-hoc.js";
import { type Plan, planOperation } from "./planner/plan-operation.js";

/** Where planning reads from. */
export interface PlanningSources {
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
}

/** A plan, and what turning it into a request takes. */
export interface PlannedRequest {
  readonly plan: Plan;
  /** For people, such as `Start MARIADB`. */
  readonly context: string;
  /** 0 without a cluster. */
  readonly clusterId: bigint;
  /** The ids of all hosts in the plan, by name. */
  readonly hostIds: ReadonlyMap<string, bigint>;
}

// An agent that restarts is away for a moment; only a host that stays away is lost.
const lostAfterMs = 30_000;
const pageSize = 10_000;

/**
 * Reads what planning needs, and plans.
 * @throws ConnectError INVALID_ARGUMENT for what is wrong with the operation, FAILED_PRECONDITION for a cycle in the rules or
 * hosts that are away
 */
export async function planRequest(
  sources: PlanningSources,
  operation: Operation | undefined,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  try {
    switch (operation?.kind.case) {
      case "service":
        return await planService(sources, operation.kind.value, options, signal);
      case "customCommand":
        return await planCustomCommand(sources, operation.kind.value, options, signal);
      case "adHoc":
        return await planCommandLine(sources, operation.kind.value, options, signal);
      default:
        throw invalidArgument("operation", "is empty; set service, custom_command or ad_hoc");
    }
  } catch (error) {
    throw toConnectError(error);
  }
}

function toConnectError(error: unknown): unknown {
  if (error instanceof InvalidOperationError) {
    return new ConnectError(error.message, Code.InvalidArgument);
  }
  if (error instanceof CycleError || error instanceof HostsOfflineError) {
    return new ConnectError(error.message, Code.FailedPrecondition);
  }
  return error;
}

const kinds: Readonly<Partial<Record<RoleCommand, PlannedOperation["kind"]>>> = {
  [RoleCommand.INSTALL]: "install",
  [RoleCommand.START]: "start",
  [RoleCommand.STOP]: "stop",
  [RoleCommand.RESTART]: "restart",
  [RoleCommand.SERVICE_CHECK]: "check",
  [RoleCommand.CONFIGURE]: "configure",
};

async function planService(
  sources: PlanningSources,
  operation: ServiceOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const kind = kinds[operation.roleCommand];
  if (kind === undefined) {
    const known = Object.keys(kinds).map((command) => RoleCommand[Number(command)]);
    const given = RoleCommand[operation.roleCommand] ?? operation.roleCommand;
    throw invalidArgument(
      "operation.service.role_command",
      `${given} is not one of ${known.join(", ")}`,
    );
  }
  const what = operation.components.length > 0 ? operation.components : operation.services;
  const verb = kind.slice(0, 1).toUpperCase() + kind.slice(1);
  const planned: PlannedOperation = {
    kind,
    services: operation.services,
    components: operation.components,
    runServiceChecks: !operation.skipServiceChecks,
    ...commonOptions(options),
  };
  const name = operation.cluster;
  const input = await clusterInput(sources, name, operation.hosts, signal);
  const context = `${verb} ${what.length > 0 ? what.join(", ") : `all of ${input.cluster.name}`}`;
  return planFor(input, withHosts(planned, input.selected), context);
}

async function planCustomCommand(
  sources: PlanningSources,
  operation: CustomCommandOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const input = await clusterInput(sources, operation.cluster, operation.hosts, signal);
  const planned: PlannedOperation = {
    kind: "custom",
    services: operation.service === "" ? [] : [operation.service],
    components: operation.component === "" ? [] : [operation.component],
    customCommand: operation.command,
    commandParams: operation.parameters,
    ...commonOptions(options),
  };
  const context = `${operation.command} ${operation.component}`;
  return planFor(input, withHosts(planned, input.selected), context);
}

async function planCommandLine(
  { fleet }: PlanningSources,
  operation: AdHocOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const { hosts: selector, argv } = operation;
  if (selector === undefined || isEmpty(selector)) {
    throw invalidArgument("operation.ad_hoc.hosts", "is empty; name hosts, `*` for all, or labels");
  }
  const hosts = await listHosts(fleet, selector, signal);
  if (hosts.length === 0) {
    throw invalidArgument("operation.ad_hoc.hosts", `${describe(selector)} selects no host`);
  }
  const timeout = options?.timeout ?? operation.timeout;
  const offlineHosts = offlinePolicy(options);
  const successFactor = options?.successFactors.RUN;
  const plan = planAdHoc({
    argv: commandLine(argv),
    hosts: hosts.map((host) => host.hostName),
    hostStates: lostHosts(hosts),
    ...(timeout && { timeoutMs: durationMs(timeout) }),
    ...(offlineHosts && { offlineHosts }),
    ...(successFactor !== undefined && { successFactor }),
  });
  const shown = argv.join(" ");
  return {
    plan,
    context: `Run ${shown.length > 200 ? `${shown.slice(0, 200)}…` : shown}`,
    clusterId: 0n,
    hostIds: new Map(hosts.map((host) => [host.hostName, host.hostId])),
  };
}

/** A single word with blanks or shell characters is a line for the shell; anything else is run as it is. */
function commandLine(argv: readonly string[]): readonly string[] {
  const [line] = argv;
  const isLine = argv.length === 1 && line !== undefined && /[\s|&;<>()$`"'*?{}~#=]/.test(line);
  return isLine ? ["/bin/sh", "-c", line] : argv;
}

interface ClusterInput {
  readonly cluster: ClusterTopology;
  readonly stack: StackDefinition;
  readonly hosts: readonly Host[];
  /** The hosts that the operation is limited to; undefined for no limit. */
  readonly selected: readonly string[] | undefined;
}

async function clusterInput(
  { fleet, stacks }: PlanningSources,
  name: string,
  selector: HostSelector | undefined,
  signal: AbortSignal,
): Promise<ClusterInput> {
  const { cluster } = await fleet.getCluster({ name }, { signal });
  if (cluster === undefined) throw new ConnectError(`cluster ${name} is empty`, Code.Internal);
  const [stackName = "", version = ""] = cluster.stack.split("/");
  const [{ stack }, hosts] = await Promise.all([
    stacks.getStack({ name: stackName, version }, { signal }),
    listHosts(fleet, undefined, signal),
  ]);
  if (stack === undefined) {
    throw new ConnectError(`stack ${cluster.stack} is empty`, Code.Internal);
  }
  const topology = topologyOf(cluster);
  return {
    cluster: topology,
    stack,
    hosts,
    selected: await selectedHosts(fleet, topology, selector, signal),
  };
}

async function selectedHosts(
  fleet: Client<typeof FleetService>,
  topology: ClusterTopology,
  selector: HostSelector | undefined,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  if (selector === undefined || isEmpty(selector)) return undefined;
  const members = new Set([...topology.components.values()].flat());
  const matching = await listHosts(fleet, selector, signal);
  const names = matching.map((host) => host.hostName).filter((name) => members.has(name));
  if (names.length === 0) {
    throw invalidArgument("hosts", `${describe(selector)} selects no host of ${topology.name}`);
  }
  return names;
}

function topologyOf(cluster: Cluster): ClusterTopology {
  return {
    name: cluster.name,
    id: cluster.clusterId,
    services: cluster.services.map((service) => service.name),
    components: new Map(
      cluster.services.flatMap((service) =>
        service.components.map((component) => [component.name, component.hostNames] as const),
      ),
    ),
  };
}

function planFor(
  input: ClusterInput,
  operation: PlannedOperation,
  context: string,
): PlannedRequest {
  const { cluster, stack, hosts } = input;
  return {
    plan: planOperation({ operation, cluster, stack, hostStates: lostHosts(hosts) }),
    context,
    clusterId: cluster.id,
    hostIds: new Map(hosts.map((host) => [host.hostName, host.hostId])),
  };
}

function withHosts(
  operation: PlannedOperation,
  hosts: readonly string[] | undefined,
): PlannedOperation {
  return hosts === undefined ? operation : { ...operation, hosts };
}

function commonOptions(options: RequestOptions | undefined): Partial<PlannedOperation> {
  const offlineHosts = offlinePolicy(options);
  return {
    ...(options && { successFactors: options.successFactors }),
    ...(options?.timeout && { timeoutMs: durationMs(options.timeout) }),
    ...(options?.executionType === ExecutionType.DEPENDENCY_ORDERED && {
      executionType: "DEPENDENCY_ORDERED" as const,
    }),
    ...(offlineHosts && { offlineHosts }),
  };
}

function offlinePolicy(options: RequestOptions | undefined) {
  switch (options?.offlinePolicy) {
    case OfflinePolicy.WAIT:
      return "wait" as const;
    case OfflinePolicy.REFUSE:
      return "refuse" as const;
    default:
      return undefined;
  }
}

function isEmpty(selector: HostSelector): boolean {
  return selector.names.length === 0 && Object.keys(selector.labels).length === 0;
}

function describe(selector: HostSelector): string {
  const labels = Object.entries(selector.labels).map(([key, value]) => `${key}=${value}`);
  return [...selector.names, ...labels].join(", ");
}

async function listHosts(
  fleet: Client<typeof FleetService>,
  selector: HostSelector | undefined,
  signal: AbortSignal,
): Promise<Host[]> {
  const hosts: Host[] = [];
  let pageToken = "";
  do {
    const page = await fleet.listHosts(
      { ...(selector && { selector }), pageSize, pageToken, brief: true },
      { signal },
    );
    hosts.push(...page.hosts);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return hosts;
}

function lostHosts(hosts: readonly Host[]): ReadonlyMap<string, HostState> {
  const lost = new Map<string, HostState>();
  for (const { hostName, state, disconnectedAt } of hosts) {
    if (state !== FleetHostState.HEARTBEAT_LOST) continue;
    const awaySinceMs = disconnectedAt === undefined ? 0 : Number(disconnectedAt.seconds) * 1_000;
    if (Date.now() - awaySinceMs > lostAfterMs) lost.set(hostName, "LOST");
  }
  return lost;
}
