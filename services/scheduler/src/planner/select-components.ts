import {
  StackDefinition_Category as Category,
  type StackDefinition_Component as Component,
  type StackDefinition_StackService as StackService,
} from "@howdah/proto/howdah/v1/stack";
import { InvalidOperationError, shorten } from "./operation.js";
import type { PlanInput } from "./plan-input.js";

/** A component that an operation is about, and where it is. */
export interface SelectedComponent {
  readonly service: StackService;
  readonly component: Component;
  /** Sorted by name, each once; not yet without those that are not available. */
  readonly hosts: readonly string[];
}

/** True for components that are installed and never started. */
export function isClient(component: Component): boolean {
  return component.category === Category.CLIENT;
}

/** The services an operation is about, checked against the cluster and its stack. */
export function selectServices({ operation, cluster, stack }: PlanInput): StackService[] {
  const defined = new Map(stack.services.map((service) => [service.name, service]));
  const names = operation.services?.length ? new Set(operation.services) : cluster.services;
  return [...names].map((name) => {
    if (!cluster.services.includes(name)) {
      throw new InvalidOperationError(
        "services",
        `${name} is not in cluster ${cluster.name}, which has ${shorten(cluster.services)}`,
      );
    }
    const service = defined.get(name);
    if (service) return service;
    throw new InvalidOperationError(
      "services",
      `${name} is not in stack ${stack.name}/${stack.version}, which has ${shorten([...defined.keys()])}`,
    );
  });
}

/** The components an operation is about with the hosts they are on, checked against the cluster and its stack. */
export function selectComponents(
  input: PlanInput,
  services: readonly StackService[],
): SelectedComponent[] {
  const { operation, cluster } = input;
  const wanted = operation.components?.length ? new Set(operation.components) : undefined;
  const leavesClientsOut = operation.kind === "start" || operation.kind === "stop";
  const selected: SelectedComponent[] = [];
  const seen = new Map<string, string>();
  for (const service of services) {
    for (const component of service.components) {
      const other = seen.get(component.name);
      if (other !== undefined && cluster.components.has(component.name)) {
        throw new InvalidOperationError(
          "components",
          `${component.name} is in service ${other} and in ${service.name}; name the service`,
        );
      }
      seen.set(component.name, service.name);
      if (wanted && !wanted.has(component.name)) continue;
      if (leavesClientsOut && isClient(component)) {
        if (!wanted) continue;
        throw new InvalidOperationError(
          "components",
          `${component.name} is a client, there is nothing to ${operation.kind}`,
        );
      }
      const hosts = sortedHosts(cluster.components.get(component.name) ?? [], component.name);
      if (hosts.length > 0) selected.push({ service, component, hosts });
      else if (wanted) {
        throw new InvalidOperationError("components", `${component.name} is on no host`);
      }
    }
  }
  for (const name of wanted ?? []) {
    if (!seen.has(name)) {
      const names = services.map((service) => service.name);
      throw new InvalidOperationError(
        "components",
        `${name} is no component of ${shorten(names)}; there are ${shorten([...seen.keys()])}`,
      );
    }
  }
  if (!wanted && !operation.services?.length) checkNothingForgotten(input, seen);
  return onNamedHosts(input, selected);
}

/** What the stack no longer knows must not drop out of "everything" without a word. */
function checkNothingForgotten({ cluster, stack }: PlanInput, known: ReadonlyMap<string, string>) {
  for (const [name, hosts] of cluster.components) {
    if (hosts.length === 0 || known.has(name)) continue;
    throw new InvalidOperationError(
      "components",
      `${name} of cluster ${cluster.name} is in none of its services in stack ` +
        `${stack.name}/${stack.version}; name the services, or mend the stack`,
    );
  }
}

/** Checks that the hosts an operation names are the cluster's. */
export function checkHostNames({ operation, cluster }: PlanInput): void {
  if (!operation.hosts?.length) return;
  const known = new Set(cluster.hosts ?? [...cluster.components.values()].flat());
  for (const host of operation.hosts) {
    if (known.has(host)) continue;
    throw new InvalidOperationError(
      "hosts",
      `${host} is not in cluster ${cluster.name}, which has ${shorten([...known].sort())}`,
    );
  }
}

function onNamedHosts(
  { operation }: PlanInput,
  selected: SelectedComponent[],
): SelectedComponent[] {
  if (!operation.hosts?.length) return selected;
  const wanted = new Set(operation.hosts);
  const narrowed = selected
    .map((each) => ({ ...each, hosts: each.hosts.filter((host) => wanted.has(host)) }))
    .filter((each) => each.hosts.length > 0);
  if (narrowed.length === 0 && selected.length > 0) {
    const names = selected.map((each) => each.component.name);
    throw new InvalidOperationError(
      "hosts",
      `none of ${shorten([...wanted])} has any of ${shorten(names)}`,
    );
  }
  return narrowed;
}

/** Sorted by name; a host that stands there twice is a fault of the topology. */
function sortedHosts(hosts: readonly string[], component: string): readonly string[] {
  const ascending = (list: readonly string[]) =>
    list.every((host, index) => index === 0 || (list[index - 1] ?? "") < host);
  // The store lists hosts by name: the usual case costs no sorting.
  if (ascending(hosts)) return hosts;
  const sorted = hosts.toSorted();
  if (ascending(sorted)) return sorted;
  const twice = sorted.find((host, index) => host === sorted[index + 1]);
  throw new InvalidOperationError("components", `${component} is twice on host ${twice}`);
}
