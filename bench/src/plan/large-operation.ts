import { create } from "@bufbuild/protobuf";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { type StackDefinition, StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import type { ComponentWord } from "@howdah/scheduler/planner/component-states";
import { placeOf } from "@howdah/scheduler/planner/maintenance";
import type { PlanInput } from "@howdah/scheduler/planner/plan-input";

const rolesPerService = 5;
const installed: ComponentWord = {
  ...{ current: ComponentState.INSTALLED, desired: ComponentState.INSTALLED },
  ...{ restartRequired: false, client: false },
};

/** The start of every role on every host, each role after the one before it: as many stages as there are roles. */
export function startOfAll(hosts: number, roles: number): PlanInput {
  const names = Array.from({ length: roles }, (_, at) => `ROLE${at}`);
  const hostNames = Array.from(
    { length: hosts },
    (_, at) => `host-${String(at + 1).padStart(5, "0")}.example.com`,
  );
  const stack = stackOf(names);
  return {
    operation: { kind: "start" },
    cluster: {
      ...{ name: "bench", id: 1n, services: stack.services.map((service) => service.name) },
      components: new Map(names.map((name) => [name, hostNames])),
    },
    stack,
  };
}

/** The same as the service plans it: with the last word about every component on every host. */
export function withStates(input: PlanInput): PlanInput {
  const states = new Map<string, ComponentWord>();
  for (const [component, hosts] of input.cluster.components) {
    // A word of its own for each, as they are when they were read.
    for (const host of hosts) states.set(placeOf(component, host), { ...installed });
  }
  return { ...input, states };
}

function stackOf(names: readonly string[]): StackDefinition {
  const services = Array.from({ length: Math.ceil(names.length / rolesPerService) }, (_, at) => ({
    name: `SERVICE${at}`,
    components: names.slice(at * rolesPerService, (at + 1) * rolesPerService).map((name) => ({
      name,
      commandScript: { script: `scripts/${name}.py`, scriptType: ScriptType.PYTHON },
    })),
  }));
  const rules = names.slice(1).map((name, at) => ({
    blocked: `${name}-START`,
    blockers: [`ROLE${at}-START`],
  }));
  const roleCommandOrder = [{ name: "general_deps", rules }];
  return create(StackDefinitionSchema, { name: "LARGE", version: "1", services, roleCommandOrder });
}
