import type { CommandSpec } from "@howdah/proto/howdah/v1/command";
import type { StackDefinition_StackService as StackService } from "@howdah/proto/howdah/v1/stack";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { type Availability, availabilityOf, type SkippedHost } from "./availability.js";
import { checkSpec, componentSpec } from "./command-spec.js";
import { checkInstalled, needOf } from "./component-states.js";
import { buildGraph, nodeKey, type PlanNode } from "./graph.js";
import { hostLoad } from "./host-load.js";
import { layersOf } from "./layers.js";
import { InvalidOperationError, type Operation } from "./operation.js";
import type { PlanInput } from "./plan-input.js";
import { addRestartRules, effectiveRules } from "./restart-rules.js";
import { collectRules, conditionsOf } from "./rules.js";
import { checkHostNames, selectComponents, selectServices } from "./select-components.js";
import { checkHostOf, checkRoleOf, type SkippedCheck, servicesToCheck } from "./service-check.js";
import { checkSuccessFactors, successFactorOf } from "./success-factor.js";

/** A role in a planned stage: one task for each of its hosts. */
export interface PlannedRole {
  /** Names it within the plan: `ROLE-VERB`, where a restart's verb is RESTART. */
  readonly id: string;
  readonly role: string;
  /** As sent: a restart is CUSTOM_COMMAND with `customCommand` RESTART. */
  readonly roleCommand: RoleCommand;
  /** Empty unless `roleCommand` is CUSTOM_COMMAND. */
  readonly customCommand: string;
  /** Sorted by name, at least one. */
  readonly hosts: readonly string[];
  /** The share of the tasks that must succeed, 0 to 1. */
  readonly successFactor: number;
  /** What all its tasks run. */
  readonly spec: CommandSpec;
  /** The ids of the roles that must be done before it. In a plan of stages they are all in earlier ones. */
  readonly blockers: readonly string[];
  /** A step that a person does. Default false. */
  readonly manual?: boolean;
}

/** A step of a plan. */
export interface PlannedStage {
  /** Sorted by id. */
  readonly roles: readonly PlannedRole[];
}

/** A plan. */
export interface Plan {
  /** In order; none when nothing is left to do. */
  readonly stages: readonly PlannedStage[];
  /** Hosts that are left out because they, or what they would do, are lost, in maintenance or disabled. */
  readonly skippedHosts: readonly SkippedHost[];
  /** Service checks that no available host could run, by service. */
  readonly skippedChecks: readonly SkippedCheck[];
  /** How many tasks are left out since their component is as it shall be already. */
  readonly unchanged: number;
}

type Candidate = PlanNode & Omit<PlannedRole, "id" | "role" | "blockers">;

/**
 * Plans an operation: which roles do what on which hosts, and in which order. Pure and deterministic: the same input gives
 * the same plan, in whatever order its parts stand.
 * @throws InvalidOperationError, HostsOfflineError, NotInstalledError, CycleError
 */
export function planOperation(input: PlanInput): Plan {
  const { operation, cluster, stack } = input;
  checkHostNames(input);
  const services = selectServices(input);
  checkSuccessFactors(operation, services);
  const availability = availabilityOf(input);
  const { work, unchanged, disabled } =
    operation.kind === "check"
      ? { work: [], unchanged: 0, disabled: [] }
      : planComponents(input, services, availability);
  const touched = new Set(work.map((each) => each.spec.serviceName));
  const withChecks =
    operation.runServiceChecks && (operation.kind === "start" || operation.kind === "restart");
  const checks =
    operation.kind === "check" || withChecks
      ? planChecks(
          input,
          withChecks ? services.filter((service) => touched.has(service.name)) : services,
          availability,
          work,
        )
      : { candidates: [], skipped: [] };
  // By their verbs checks would go before restarts, so a restart's checks are planned as work of their own, after it.
  const phases =
    operation.kind === "restart" ? [work, checks.candidates] : [[...work, ...checks.candidates]];
  const skippedHosts = [...availability.skipped(), ...disabled];

  const rules = collectRules(stack.roleCommandOrder, conditionsOf(cluster));
  const effective = effectiveRules(rules);
  const asWritten = addRestartRules(rules);
  const stages: PlannedStage[] = [];
  const earlier: string[] = [];
  for (const candidates of phases) {
    const nodes = candidates.toSorted((a, b) => (nodeKey(a) < nodeKey(b) ? -1 : 1));
    const graph = buildGraph(nodes, effective);
    const ids = nodes.map(nodeKey);
    for (const layer of layersOf(graph, asWritten)) {
      const roles = layer
        .toSorted((a, b) => a - b)
        .flatMap((index) => {
          const node = nodes[index];
          if (!node) return [];
          const before = [...(graph.predecessors[index] ?? [])].sort((a, b) => a - b);
          const { verb: _, ...planned } = node;
          const blockers = [...earlier, ...before.flatMap((each) => ids[each] ?? [])];
          return [{ ...planned, id: nodeKey(node), blockers }];
        });
      stages.push({ roles });
    }
    earlier.push(...ids);
  }
  // Last, since mending it is for the operator: what is wrong with the stack comes first.
  checkInstalled(
    operation,
    input.states,
    work.map(({ role, hosts, spec }) => ({ service: spec.serviceName, component: role, hosts })),
  );
  return {
    stages: operation.executionType === "DEPENDENCY_ORDERED" ? joined(stages) : stages,
    skippedHosts,
    skippedChecks: checks.skipped,
    unchanged,
  };
}

function joined(stages: readonly PlannedStage[]): PlannedStage[] {
  return stages.length === 0 ? [] : [{ roles: stages.flatMap((stage) => stage.roles) }];
}

/** The command of each kind: the verb that orders it, and what is sent. */
function commandOf(operation: Operation): {
  verb: string;
  roleCommand: RoleCommand;
  customCommand: string;
} {
  const plain = (roleCommand: RoleCommand) => ({
    verb: RoleCommand[roleCommand] ?? "",
    roleCommand,
    customCommand: "",
  });
  const custom = (customCommand: string) => ({
    verb: customCommand === "RESTART" ? "RESTART" : "CUSTOM_COMMAND",
    roleCommand: RoleCommand.CUSTOM_COMMAND,
    customCommand,
  });
  switch (operation.kind) {
    case "install":
      return plain(RoleCommand.INSTALL);
    case "uninstall":
      return plain(RoleCommand.UNINSTALL);
    case "upgrade":
      return plain(RoleCommand.UPGRADE);
    case "configure":
      return plain(RoleCommand.CONFIGURE);
    case "start":
      return plain(RoleCommand.START);
    case "stop":
      return plain(RoleCommand.STOP);
    case "restart":
      return custom("RESTART");
    case "check":
      return plain(RoleCommand.SERVICE_CHECK);
    case "custom":
      if (!operation.components?.length) {
        throw new InvalidOperationError("components", "a custom command needs a component");
      }
      if (!operation.customCommand) {
        throw new InvalidOperationError("customCommand", "is empty; name the custom command");
      }
      return custom(operation.customCommand);
  }
}

function planComponents(
  input: PlanInput,
  services: readonly StackService[],
  availability: Availability,
): { work: Candidate[]; unchanged: number; disabled: SkippedHost[] } {
  const { operation, states } = input;
  const { verb, roleCommand, customCommand } = commandOf(operation);
  const disabled: SkippedHost[] = [];
  let unchanged = 0;
  const work = selectComponents(input, services).flatMap((selected): Candidate[] => {
    const { service, component } = selected;
    const spec = componentSpec(
      input,
      service,
      component,
      RoleCommand[roleCommand] ?? "",
      customCommand,
    );
    const about = { service: service.name, component: component.name };
    const shown = `${component.name} ${customCommand || verb}`;
    const need = needOf(operation, states, component.name, selected.hosts);
    unchanged += need.done;
    const reason = `${component.name} is disabled`;
    disabled.push(...need.disabled.map((host) => ({ host, reason, commands: [shown] })));
    const hosts = availability.take(need.hosts, shown, about);
    if (hosts.length === 0) return [];
    const successFactor = successFactorOf(component.name, operation);
    const role = component.name;
    return [{ role, verb, roleCommand, customCommand, hosts, successFactor, spec }];
  });
  return { work, unchanged, disabled };
}

function planChecks(
  input: PlanInput,
  services: readonly StackService[],
  availability: Availability,
  work: readonly Candidate[],
): { candidates: Candidate[]; skipped: SkippedCheck[] } {
  const load = hostLoad(work);
  const candidates: Candidate[] = [];
  const skipped: SkippedCheck[] = [];
  // By name: where a check runs depends upon those before it.
  const inOrder = servicesToCheck(input, services).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const service of inOrder) {
    if (!service.serviceCheck) continue;
    const role = checkRoleOf(service.name);
    const inMaintenance = availability.serviceReason({ service: service.name, host: "" });
    if (inMaintenance !== undefined) {
      skipped.push({ service: service.name, role, reason: inMaintenance });
      continue;
    }
    const host = checkHostOf(input, service, availability, load);
    if (host === undefined) {
      skipped.push({ service: service.name, role, reason: "no host of the service is available" });
      continue;
    }
    candidates.push({
      role,
      verb: "SERVICE_CHECK",
      roleCommand: RoleCommand.SERVICE_CHECK,
      customCommand: "",
      hosts: [host],
      successFactor: successFactorOf(role, input.operation),
      spec: checkSpec(input, service, service.serviceCheck),
    });
  }
  return { candidates, skipped };
}
