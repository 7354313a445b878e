import { create } from "@bufbuild/protobuf";
import { type CommandSpec, CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import {
  StackDefinition_Category as Category,
  type StackDefinition_CommandScript as CommandScript,
  type StackDefinition_Component as Component,
  type StackDefinition_CustomCommand as CustomCommand,
  type StackDefinition,
  type StackDefinition_StackService as StackService,
} from "@howdah/proto/howdah/v1/stack";
import { retryParams } from "./in-place-retries.js";
import { InvalidOperationError, shorten } from "./operation.js";
import type { ClusterTopology, PlanInput } from "./plan-input.js";

/** Custom commands that every component has; RESTART of them is ordered as a restart. */
const commonCommands = [
  "RESTART",
  "START",
  "STOP",
  "INSTALL",
  "CONFIGURE",
  "CONFIGURE_FUNCTION",
  "DISABLE_SECURITY",
  "RECONFIGURE",
];

/**
 * What a command of a component runs.
 * @param verb such as START; CUSTOM_COMMAND with `customCommand`
 */
export function componentSpec(
  input: PlanInput,
  service: StackService,
  component: Component,
  verb: string,
  customCommand: string,
): CommandSpec {
  const declared = component.customCommands.find((each) => each.name === customCommand);
  if (verb === "CUSTOM_COMMAND" && !declared && !commonCommands.includes(customCommand)) {
    const known = [...component.customCommands.map((each) => each.name), ...commonCommands];
    throw new InvalidOperationError(
      "customCommand",
      `${component.name} has no custom command ${customCommand}; it has ${shorten(known)}`,
    );
  }
  const script = declared?.commandScript ?? component.commandScript;
  if (!script) {
    throw new InvalidOperationError(
      "components",
      `${component.name} has no commandScript in stack ${input.stack.name}/${input.stack.version}`,
    );
  }
  const base = shared(input, service, script);
  const { environment = {} } = input.cluster;
  return create(CommandSpecSchema, {
    ...base,
    componentName: component.name,
    customCommand,
    commandParams: { ...retryParams(environment, customCommand || verb), ...base.commandParams },
    roleParams: { ...roleParamsOf(component), ...base.roleParams },
    timeoutMs: toTimeout(input, commandTimeout(input, component, verb, declared)),
    background: declared?.background ?? false,
  });
}

function commandTimeout(
  input: PlanInput,
  component: Component,
  verb: string,
  declared: CustomCommand | undefined,
): number {
  const { timeouts } = input;
  const own = declared?.commandScript?.timeoutSeconds;
  // What runs beside all others may go on for days, as rebalancing does.
  if (declared?.background && !own) return timeouts?.backgroundMs ?? 7 * 24 * 3_600_000;
  const least = verb === "INSTALL" ? (timeouts?.installMs ?? 1_800_000) : 0;
  return Math.max(scriptTimeout(input, own || component.commandScript?.timeoutSeconds || 0), least);
}

/** What scripts find under `roleParams`. */
function roleParamsOf({ category }: Component): Record<string, string> {
  const name = Category[category];
  return category === Category.UNSPECIFIED || name === undefined
    ? {}
    : { component_category: name };
}

/** What scripts find under `commandParams` of where their package is. */
function folderParams({ packageFolder }: StackService): Record<string, string> {
  return packageFolder === "" ? {} : { service_package_folder: packageFolder };
}

/** What a service's check runs. */
export function checkSpec(
  input: PlanInput,
  service: StackService,
  script: CommandScript,
): CommandSpec {
  const stated = input.timeouts?.serviceCheckMs || scriptTimeout(input, script.timeoutSeconds);
  return create(CommandSpecSchema, {
    ...shared(input, service, script),
    timeoutMs: toTimeout(input, stated),
  });
}

/** A check that takes longer than that is of no use: the next one is due. */
const longestCheckMs = 60_000;

/** How a component's status is checked, and what its agent needs besides to start it by itself. */
export interface StatusSpec {
  /** Its time-out is the check's. Only a component that is started has hooks: a check runs none. */
  readonly spec: CommandSpec;
  /** For each step of a START. */
  readonly recoveryTimeoutMs: number;
}

/** What the check of a component's status runs; undefined when the stack has no script for the component. */
export function statusSpec(
  cluster: Pick<ClusterTopology, "id" | "name">,
  stack: StackDefinition,
  serviceName: string,
  componentName: string,
  recoveryEnabled: boolean,
): StatusSpec | undefined {
  const service = stack.services.find(({ name }) => name === serviceName);
  const component = service?.components.find(({ name }) => name === componentName);
  const script = component?.commandScript;
  if (service === undefined || component === undefined || !script?.script) return undefined;
  const recoveryTimeoutMs = scriptTimeout({}, script.timeoutSeconds);
  const spec = create(CommandSpecSchema, {
    ...{ serviceName, componentName, scriptType: script.scriptType, script: script.script },
    packageDigest: service.packageDigest,
    hooksDigest: recoveryEnabled ? stack.hooksDigest : "",
    commandParams: folderParams(service),
    roleParams: roleParamsOf(component),
    clusterName: cluster.name,
    clusterId: cluster.id,
    timeoutMs: BigInt(Math.min(recoveryTimeoutMs, longestCheckMs)),
  });
  return { spec, recoveryTimeoutMs };
}

function shared(
  { operation, cluster, stack }: PlanInput,
  service: StackService,
  script: CommandScript,
) {
  return {
    serviceName: service.name,
    scriptType: script.scriptType,
    script: script.script,
    packageDigest: service.packageDigest,
    hooksDigest: stack.hooksDigest,
    commandParams: { ...folderParams(service), ...operation.commandParams },
    roleParams: { ...operation.roleParams },
    clusterName: cluster.name,
    clusterId: cluster.id,
  };
}

function scriptTimeout({ timeouts }: Pick<PlanInput, "timeouts">, seconds: number): number {
  return seconds > 0 ? seconds * 1000 : (timeouts?.defaultMs ?? 900_000);
}

function toTimeout({ operation }: PlanInput, planned: number): bigint {
  const timeoutMs = operation.timeoutMs ?? planned;
  if (Number.isSafeInteger(timeoutMs) && timeoutMs > 0) return BigInt(timeoutMs);
  throw new InvalidOperationError(
    "timeoutMs",
    `${timeoutMs} must be a whole number of milliseconds above 0`,
  );
}
