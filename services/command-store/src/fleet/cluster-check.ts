import type { ClusterService } from "@howdah/proto/howdah/v1/fleet";
import type {
  StackDefinition,
  StackDefinition_StackService as StackService,
} from "@howdah/proto/howdah/v1/stack";
import { type Cardinality, checkCardinality, parseCardinality } from "./cardinality.js";
import { compareHostNames, listed, type Placement } from "./cluster.js";

/**
 * What is wrong with the services of a cluster of this stack: a sentence each, which begins with the field; none when
 * nothing is. `hostExists` is asked with names in lower case.
 */
export function checkServices(
  stack: StackDefinition,
  services: readonly ClusterService[],
  hostExists: (hostName: string) => boolean,
): string[] {
  const title = `stack ${stack.name}/${stack.version}`;
  const known = new Map(stack.services.map((service) => [service.name, service]));
  const named = new Set(services.map((service) => service.name));
  const problems: string[] = repeated(services.map((service) => service.name)).map(
    (name) => `services[${name}]: is there twice; join the two`,
  );
  for (const { name, components } of services) {
    const service = known.get(name);
    if (service === undefined) {
      problems.push(
        `services[${name}]: ${title} has no such service; it has ${listed([...known.keys()])}`,
      );
      continue;
    }
    // A service that the stack does not have cannot be asked for: the stack's author means an optional one.
    for (const required of service.requiredServices) {
      if (!named.has(required) && known.has(required)) {
        problems.push(`services[${name}]: needs ${required} in the same cluster; add ${required}`);
      }
    }
    for (const component of components) {
      const field = `services[${name}].components[${component.name}]`;
      if (!service.components.some((each) => each.name === component.name)) {
        problems.push(`${field}: ${whereIs(component.name, service, stack)}`);
      }
      const hostNames = component.hostNames.map((host) => host.toLowerCase());
      const unknown = hostNames.filter((host) => !hostExists(host));
      if (unknown.length > 0) {
        problems.push(
          `${field}.host_names: no agent has registered from ${listed(unknown)}; check the names or start the agents`,
        );
      }
      const twice = repeated(hostNames);
      if (twice.length > 0) problems.push(`${field}.host_names: ${listed(twice)} is there twice`);
    }
    for (const component of repeated(components.map((each) => each.name))) {
      problems.push(`services[${name}].components[${component}]: is there twice; join the two`);
    }
  }
  return [...problems, ...checkCounts(stack, services)];
}

function whereIs(component: string, service: StackService, stack: StackDefinition): string {
  const owner = stack.services.find((each) =>
    each.components.some(({ name }) => name === component),
  );
  return owner === undefined
    ? `${service.name} has no such component; it has ${listed(service.components.map((each) => each.name))}`
    : `belongs to ${owner.name}; move it there`;
}

/** Counts every component of the services, those that are not named too. */
function checkCounts(stack: StackDefinition, services: readonly ClusterService[]): string[] {
  const placements = placementsOf(services);
  const hosts = new Set(placements.flatMap((placement) => placement.hostNames)).size;
  const count = (component: string) =>
    placements.find((placement) => placement.component === component)?.hostNames.length ?? 0;
  const problems: string[] = [];
  for (const service of stack.services) {
    if (!services.some((each) => each.name === service.name)) continue;
    for (const { name, cardinality } of service.components) {
      // PushStack lets in only what can be read.
      const allowed = relaxed(name, parseCardinality(cardinality), count);
      const problem = allowed && checkCardinality(allowed, count(name), hosts);
      if (problem !== undefined) {
        problems.push(
          `services[${service.name}].components[${name}].host_names: ${name} ${problem} (cardinality ${cardinality})`,
        );
      }
    }
  }
  return problems;
}

/** Ambari's stacks ask for one SECONDARY_NAMENODE, but its work is done by the standby where there are two NAMENODEs. */
function relaxed(
  component: string,
  cardinality: Cardinality | undefined,
  count: (component: string) => number,
): Cardinality | undefined {
  return cardinality && component === "SECONDARY_NAMENODE" && count("NAMENODE") > 1
    ? { ...cardinality, min: 0 }
    : cardinality;
}

/** The placements that the services state: by service, then component; components without hosts left out. */
export function placementsOf(services: readonly ClusterService[]): Placement[] {
  return services
    .flatMap((service) =>
      service.components.map((component) => ({
        service: service.name,
        component: component.name,
        hostNames: [...new Set(component.hostNames.map((name) => name.toLowerCase()))].sort(
          compareHostNames,
        ),
        autoStart: component.autoStart,
      })),
    )
    .filter((placement) => placement.hostNames.length > 0)
    .sort((a, b) => compare(a.service, b.service) || compare(a.component, b.component));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}
