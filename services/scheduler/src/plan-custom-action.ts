import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CustomActionOperation, RequestOptions } from "@howdah/proto/howdah/v1/operation";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import {
  type ClusterInput,
  clusterInput,
  lostHosts,
  type PlanningSources,
} from "./cluster-input.js";
import { invalidArgument } from "./invalid-argument.js";
import { hostsInMaintenance } from "./maintenance-input.js";
import { offlinePolicy } from "./plan-options.js";
import { cut, type PlannedRequest } from "./planned-request.js";
import { type ActionInput, actionSpec, hasAction } from "./planner/custom-action.js";
import { shorten } from "./planner/operation.js";
import { type HostsInput, planOnHosts } from "./planner/plan-on-hosts.js";
import { describe, isEmpty, plainNames, selectHosts } from "./select-hosts.js";

const field = "operation.custom_action";

/** What the action runs with and where, and the ids of those hosts. */
interface Place {
  readonly about: Pick<ActionInput, "stack" | "cluster" | "service">;
  readonly input: HostsInput;
  readonly hostIds: ReadonlyMap<string, bigint>;
}

/** Plans a custom action on hosts. Errors as planRequest. */
export async function planCustomAction(
  sources: PlanningSources,
  operation: CustomActionOperation,
  options: RequestOptions | undefined,
  signal: AbortSignal,
): Promise<PlannedRequest> {
  const { name, hosts, parameters, cluster, component } = operation;
  if (name === "") throw invalidArgument(`${field}.name`, "is empty; name the custom action");
  const other = Object.keys(options?.successFactors ?? {}).find((role) => role !== name);
  if (other !== undefined) {
    const why = `is no role of this action, whose only role is ${name}`;
    throw invalidArgument(`options.success_factors.${other}`, why);
  }
  const { about, input, hostIds } =
    cluster === ""
      ? await withoutCluster(sources, operation, signal)
      : await inCluster(sources, operation, signal);
  const timeout = options?.timeout ?? operation.timeout;
  const offlineHosts = offlinePolicy(options);
  const successFactor = options?.successFactors[name];
  const spec = actionSpec({
    ...{ ...about, name, parameters },
    ...(timeout && { timeoutMs: durationMs(timeout) }),
  });
  const plan = planOnHosts(
    {
      ...{ ...input, namedHosts: plainNames(hosts) },
      ...(offlineHosts && { offlineHosts }),
      ...(successFactor !== undefined && { successFactor }),
    },
    { role: name, verb: "ACTIONEXECUTE", roleCommand: RoleCommand.ACTIONEXECUTE, spec },
  );
  const where = hosts === undefined || isEmpty(hosts) ? component || cluster : describe(hosts);
  return {
    ...{ plan, context: cut(`${name} on ${where}`), hostIds, unchangedAre: "" },
    clusterId: about.cluster?.id ?? 0n,
  };
}

/** On any hosts, with a stack's scripts and nothing else. */
async function withoutCluster(
  { fleet, stacks }: PlanningSources,
  { name, hosts: selector, service, component, stack: wanted }: CustomActionOperation,
  signal: AbortSignal,
): Promise<Place> {
  for (const [key, value] of Object.entries({ service, component })) {
    if (value === "") continue;
    throw invalidArgument(`${field}.${key}`, `is ${value}, which needs a cluster; name it too`);
  }
  if (selector === undefined || isEmpty(selector)) {
    throw invalidArgument(`${field}.hosts`, "is empty; name hosts, `*` for all, or labels");
  }
  const [hosts, stack] = await Promise.all([
    selectHosts(fleet, selector, `${field}.hosts`, signal),
    stackOf(stacks, wanted, name, signal),
  ]);
  return {
    about: { stack, cluster: undefined, service: "" },
    input: {
      hosts: hosts.map((host) => host.hostName),
      hostStates: lostHosts(hosts),
      inMaintenance: hostsInMaintenance(hosts),
    },
    hostIds: new Map(hosts.map((host) => [host.hostName, host.hostId])),
  };
}

/** The stack of this name; without one, the stack pushed last that has the action. */
async function stackOf(
  stacks: PlanningSources["stacks"],
  wanted: string,
  action: string,
  signal: AbortSignal,
): Promise<StackDefinition> {
  const digests = await stacks.digests(signal);
  if (wanted !== "") {
    if (digests.has(wanted)) return stacks.get(wanted, digests, signal);
    const there = shorten([...digests.keys()]);
    throw invalidArgument(`${field}.stack`, `there is no stack ${wanted}; there are ${there}`);
  }
  const actions = new Set<string>();
  for (const name of digests.keys()) {
    const stack = await stacks.get(name, digests, signal);
    if (hasAction(stack, action)) return stack;
    for (const each of stack.customActions) actions.add(each.name);
  }
  throw invalidArgument(
    `${field}.name`,
    `no stack has a custom action ${action}; there are ${shorten([...actions].sort())}`,
  );
}

/** On hosts of a cluster, with its configurations. */
async function inCluster(
  sources: PlanningSources,
  operation: CustomActionOperation,
  signal: AbortSignal,
): Promise<Place> {
  const { cluster, service, component, hosts: selector, stack: wanted } = operation;
  if (wanted !== "") {
    throw invalidArgument(`${field}.stack`, `is ${wanted}, and the cluster has one; leave it out`);
  }
  const asked = {
    ...{ cluster, hosts: selector },
    ...{ services: service ? [service] : [], components: component ? [component] : [] },
  };
  const input = await clusterInput(sources, "custom_action", asked, signal);
  const members = placesOf(input, operation);
  const selected = input.selected && new Set(input.selected);
  const hosts = selected ? members.filter((host) => selected.has(host)) : members;
  if (hosts.length === 0) {
    const why =
      component === "" ? `cluster ${cluster} has no hosts` : `none of them has ${component}`;
    throw invalidArgument(`${field}.hosts`, why);
  }
  return {
    about: {
      ...{ stack: input.stack, cluster: input.cluster },
      service: service || serviceOf(input, component),
    },
    input: { hosts, hostStates: lostHosts(input.hosts), inMaintenance: input.maintenance.hosts },
    hostIds: new Map(input.hosts.map((host) => [host.hostName, host.hostId])),
  };
}

/** The cluster's hosts, or those of the component. */
function placesOf({ cluster }: ClusterInput, { component }: CustomActionOperation): string[] {
  if (component === "") return [...new Set([...cluster.components.values()].flat())].sort();
  const hosts = cluster.components.get(component);
  if (hosts !== undefined) return [...hosts];
  const known = shorten([...cluster.components.keys()]);
  throw invalidArgument(
    `${field}.component`,
    `${component} is not in cluster ${cluster.name}, which has ${known}`,
  );
}

function serviceOf({ stack }: ClusterInput, component: string): string {
  const has = (service: StackDefinition["services"][number]) =>
    service.components.some(({ name }) => name === component);
  return component === "" ? "" : (stack.services.find(has)?.name ?? "");
}
