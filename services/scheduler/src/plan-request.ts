import { Code, ConnectError } from "@connectrpc/connect";
import type {
  CustomCommandOperation,
  HostSelector,
  Operation,
  RequestOptions,
  ServiceOperation,
} from "@howdah/proto/howdah/v1/operation";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import {
  type ClusterInput,
  clusterInput,
  lostHosts,
  type PlanningSources,
} from "./cluster-input.js";
import { invalidArgument } from "./invalid-argument.js";
import { planCommandLine } from "./plan-command-line.js";
import { planCustomAction } from "./plan-custom-action.js";
import { commonOptions } from "./plan-options.js";
import { cut, type PlannedRequest } from "./planned-request.js";
import { NotInstalledError } from "./planner/component-states.js";
import { CycleError } from "./planner/cycle.js";
import {
  HostsOfflineError,
  InvalidOperationError,
  type Operation as PlannedOperation,
} from "./planner/operation.js";
import { planOperation } from "./planner/plan-operation.js";
import { describe, isEmpty } from "./select-hosts.js";

/**
 * Reads what planning needs, and plans.
 * @throws ConnectError INVALID_ARGUMENT for what is wrong with the operation, FAILED_PRECONDITION for a cycle in the rules, hosts that
 * are away, or components that are to be started and were never installed
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
      case "customAction":
        return await planCustomAction(sources, operation.kind.value, options, signal);
      default: {
        const known = "service, custom_command, custom_action or ad_hoc";
        throw invalidArgument("operation", `is empty; set ${known}`);
      }
    }
  } catch (error) {
    throw toConnectError(error);
  }
}

function toConnectError(error: unknown): unknown {
  if (error instanceof InvalidOperationError) {
    return new ConnectError(error.message, Code.InvalidArgument);
  }
  const refuses = [CycleError, HostsOfflineError, NotInstalledError];
  if (error instanceof Error && refuses.some((each) => error instanceof each)) {
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
  checkFlags(operation);
  const what = operation.components.length > 0 ? operation.components : operation.services;
  const verb = kind.slice(0, 1).toUpperCase() + kind.slice(1);
  const planned: PlannedOperation = {
    kind,
    services: operation.services,
    components: operation.components,
    runServiceChecks: !operation.skipServiceChecks,
    ...{ evenIfDone: operation.evenIfDone, restartRequiredOnly: operation.restartRequiredOnly },
    ...commonOptions(options),
  };
  const { cluster, services, components, hosts } = operation;
  const serversOnly = kind === "start" || kind === "stop";
  const asked = { cluster, services, components, hosts, serversOnly };
  const input = await clusterInput(sources, "service", asked, signal);
  const which = what.length > 0 ? what.join(", ") : `all of ${input.cluster.name}`;
  const context = `${verb} ${which}${onHosts(hosts)}`;
  return planFor(input, withHosts(planned, input.selected), context);
}

/** " on web-*, rack=r1"; empty for all hosts. */
function onHosts(selector: HostSelector | undefined): string {
  return selector === undefined || isEmpty(selector) ? "" : ` on ${describe(selector)}`;
}

const verbsOfState = [
  RoleCommand.INSTALL,
  RoleCommand.START,
  RoleCommand.STOP,
  RoleCommand.RESTART,
];

/** Throws INVALID_ARGUMENT for what makes no sense together. */
function checkFlags({ roleCommand, evenIfDone, restartRequiredOnly }: ServiceOperation): void {
  const given = RoleCommand[roleCommand] ?? roleCommand;
  if (evenIfDone && !verbsOfState.includes(roleCommand)) {
    throw invalidArgument(
      "operation.service.even_if_done",
      `is for INSTALL, START, STOP and RESTART; ${given} goes by no state anyway`,
    );
  }
  if (restartRequiredOnly && roleCommand !== RoleCommand.RESTART) {
    throw invalidArgument(
      "operation.service.restart_required_only",
      `is for RESTART, not ${given}`,
    );
  }
  if (restartRequiredOnly && evenIfDone) {
    throw invalidArgument(
      "operation.service.even_if_done",
      "takes in everything, and restart_required_only what requires a restart; choose one",
    );
  }
}

async function planCustomCommand(
  sources: PlanningSources,
  operation: CustomCommandOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const { cluster, service, component, hosts } = operation;
  const asked = {
    cluster,
    services: service ? [service] : [],
    components: component ? [component] : [],
    hosts,
  };
  const input = await clusterInput(sources, "custom_command", asked, signal);
  const planned: PlannedOperation = {
    kind: "custom",
    services: operation.service === "" ? [] : [operation.service],
    components: operation.component === "" ? [] : [operation.component],
    customCommand: operation.command,
    commandParams: operation.parameters,
    ...commonOptions(options),
  };
  const context = `${operation.command} ${operation.component}${onHosts(hosts)}`;
  return planFor(input, withHosts(planned, input.selected), context);
}

function planFor(
  input: ClusterInput,
  operation: PlannedOperation,
  context: string,
): PlannedRequest {
  const { cluster, stack, hosts, namedHosts, maintenance, states } = input;
  return {
    plan: planOperation({
      operation: { ...operation, namedHosts },
      ...{ cluster, stack, maintenance, states, hostStates: lostHosts(hosts) },
    }),
    context: cut(context),
    clusterId: cluster.id,
    hostIds: new Map(hosts.map((host) => [host.hostName, host.hostId])),
    unchangedAre: unchangedAre[operation.kind] ?? "as asked for",
  };
}

const unchangedAre: Readonly<Partial<Record<PlannedOperation["kind"], string>>> = {
  install: "installed already",
  start: "STARTED already",
  stop: "stopped already",
  restart: "up to date with their configurations, or stopped",
};

function withHosts(
  operation: PlannedOperation,
  hosts: readonly string[] | undefined,
): PlannedOperation {
  return hosts === undefined ? operation : { ...operation, hosts };
}
