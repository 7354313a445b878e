import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type AdHocOperation,
  type CustomCommandOperation,
  ExecutionType,
  OfflinePolicy,
  type Operation,
  type RequestOptions,
  type ServiceOperation,
} from "@howdah/proto/howdah/v1/operation";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import {
  type ClusterInput,
  clusterInput,
  lostHosts,
  type PlanningSources,
} from "./cluster-input.js";
import { invalidArgument } from "./invalid-argument.js";
import { hostsInMaintenance } from "./maintenance-input.js";
import { CycleError } from "./planner/cycle.js";
import {
  HostsOfflineError,
  InvalidOperationError,
  type Operation as PlannedOperation,
} from "./planner/operation.js";
import { planAdHoc } from "./planner/plan-ad-hoc.js";
import { type Plan, planOperation } from "./planner/plan-operation.js";
import { isEmpty, plainNames, selectHosts } from "./select-hosts.js";

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

/**
 * What a plan leaves out, for the request: hosts, and service checks, which stand there under their role's name as no host is left for
 * them.
 */
export function skippedOf({ skippedHosts, skippedChecks }: Plan) {
  return [
    ...skippedHosts.map(({ host, reason }) => ({ hostName: host, reason })),
    ...skippedChecks.map(({ role, reason }) => ({ hostName: role, reason })),
  ];
}

const maxContext = 255;

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
  const input = await clusterInput(sources, "service", operation, signal);
  const context = `${verb} ${what.length > 0 ? what.join(", ") : `all of ${input.cluster.name}`}`;
  return planFor(input, withHosts(planned, input.selected), context);
}

async function planCustomCommand(
  sources: PlanningSources,
  operation: CustomCommandOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const input = await clusterInput(sources, "custom_command", operation, signal);
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
  const hosts = await selectHosts(fleet, selector, "operation.ad_hoc.hosts", signal);
  const timeout = options?.timeout ?? operation.timeout;
  const offlineHosts = offlinePolicy(options);
  const successFactor = options?.successFactors.RUN;
  const plan = planAdHoc({
    argv: commandLine(argv),
    hosts: hosts.map((host) => host.hostName),
    hostStates: lostHosts(hosts),
    inMaintenance: hostsInMaintenance(hosts),
    namedHosts: plainNames(selector),
    ...(timeout && { timeoutMs: durationMs(timeout) }),
    ...(offlineHosts && { offlineHosts }),
    ...(successFactor !== undefined && { successFactor }),
  });
  return {
    plan,
    context: cut(`Run ${argv.join(" ")}`),
    clusterId: 0n,
    hostIds: new Map(hosts.map((host) => [host.hostName, host.hostId])),
  };
}

/** A context that fits; cut between characters. */
function cut(context: string): string {
  const characters = [...context];
  if (characters.length <= maxContext) return context;
  return `${characters.slice(0, maxContext - 1).join("")}…`;
}

/** A single word with blanks or shell characters is a line for the shell; anything else is run as it is. */
function commandLine(argv: readonly string[]): readonly string[] {
  const [line] = argv;
  const isLine = argv.length === 1 && line !== undefined && /[\s|&;<>()$`"'*?{}~#=]/.test(line);
  return isLine ? ["/bin/sh", "-c", line] : argv;
}

function planFor(
  input: ClusterInput,
  operation: PlannedOperation,
  context: string,
): PlannedRequest {
  const { cluster, stack, hosts, namedHosts, maintenance } = input;
  return {
    plan: planOperation({
      operation: { ...operation, namedHosts },
      ...{ cluster, stack, maintenance, hostStates: lostHosts(hosts) },
    }),
    context: cut(context),
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
