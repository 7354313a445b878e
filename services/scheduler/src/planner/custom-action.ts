import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type CommandSpec, CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import type { StackDefinition } from "@howdah/proto/howdah/v1/stack";
import { InvalidOperationError, shorten } from "./operation.js";
import type { ClusterTopology } from "./plan-input.js";

/** What a custom action is run with. */
export interface ActionInput {
  readonly name: string;
  /** The stack that has it. */
  readonly stack: StackDefinition;
  /** What it is about; undefined for hosts alone. */
  readonly cluster: Pick<ClusterTopology, "id" | "name"> | undefined;
  /** The service it is about; empty for none. */
  readonly service: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** How long it may run. Default 900,000, or what the action states when that is longer. */
  readonly timeoutMs?: number;
}

const usualTimeoutMs = 900_000;

/** Whether a stack has an action of this name. */
export function hasAction(stack: StackDefinition, name: string): boolean {
  return stack.customActions.some((each) => each.name === name);
}

/** What a custom action runs: a script of the stack's custom actions, with the hooks of the command ACTIONEXECUTE where it has a cluster. */
export function actionSpec(input: ActionInput): CommandSpec {
  const { name, stack, cluster, service, parameters } = input;
  const found = stack.customActions.find((each) => each.name === name)?.script;
  if (found === undefined) {
    const known = shorten(stack.customActions.map((each) => each.name));
    throw new InvalidOperationError(
      "name",
      `stack ${stack.name}/${stack.version} has no custom action ${name}; it has ${known}`,
    );
  }
  const timeoutMs = input.timeoutMs ?? Math.max(usualTimeoutMs, found.timeoutSeconds * 1_000);
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0) {
    throw new InvalidOperationError("timeoutMs", `${timeoutMs} must be a whole number above 0`);
  }
  return create(CommandSpecSchema, {
    ...{ serviceName: service, scriptType: found.scriptType, script: found.script },
    packageDigest: stack.customActionsDigest,
    ...(cluster && {
      hooksDigest: stack.hooksDigest,
      ...{ clusterName: cluster.name, clusterId: cluster.id },
    }),
    // Scripts know it without the folder that actions are in.
    commandParams: { ...parameters, script: basename(found.script) },
    timeoutMs: BigInt(timeoutMs),
  });
}
