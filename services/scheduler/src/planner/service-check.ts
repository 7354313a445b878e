import type { StackDefinition_StackService as StackService } from "@howdah/proto/howdah/v1/stack";
import type { Availability } from "./availability.js";
import type { HostLoad } from "./host-load.js";
import { InvalidOperationError } from "./operation.js";
import type { PlanInput } from "./plan-input.js";
import { isClient } from "./select-components.js";

/** A service check that a plan leaves out. */
export interface SkippedCheck {
  readonly service: string;
  readonly role: string;
  /** Why, for people. */
  readonly reason: string;
}

/** The role of a service's check. */
export function checkRoleOf(service: string): string {
  return service === "ZOOKEEPER" ? "ZOOKEEPER_QUORUM_SERVICE_CHECK" : `${service}_SERVICE_CHECK`;
}

/**
 * Picks the one host that a service's check runs on: one that has a client of the service, else any of its components; one whose component
 * is in maintenance only when there is no other. Of several, one that the operation is about, and of those the one that has least to do.
 * For the operation check only named hosts are considered. Undefined when there is none that is available; those that
 * would have served are remembered as skipped then.
 */
export function checkHostOf(
  input: PlanInput,
  service: StackService,
  availability: Availability,
  load: HostLoad,
): string | undefined {
  const { operation, cluster, chooseCheckHost } = input;
  const named =
    operation.kind === "check" && operation.hosts?.length ? new Set(operation.hosts) : undefined;
  const all = new Set<string>();
  const clients = new Set<string>();
  const others = new Set<string>();
  const last = new Set<string>();
  for (const component of service.components) {
    for (const host of cluster.components.get(component.name) ?? []) {
      if (named && !named.has(host)) continue;
      all.add(host);
      if (!availability.isAvailable(host)) continue;
      const place = { service: service.name, component: component.name, host };
      if (availability.serviceReason(place) !== undefined) last.add(host);
      else (isClient(component) ? clients : others).add(host);
    }
  }
  const usable = [clients, others, last].find((hosts) => hosts.size > 0) ?? [];
  const candidates = [...usable].sort();
  if (candidates.length === 0) {
    availability.take([...all], `${checkRoleOf(service.name)} SERVICE_CHECK`);
    return undefined;
  }
  const chosen =
    chooseCheckHost?.(candidates, service.name) ?? load.takeCheck(concerned(operation, candidates));
  if (chosen !== undefined && candidates.includes(chosen)) return chosen;
  throw new RangeError(`chooseCheckHost chose ${chosen}, which is none of the hosts it was given`);
}

/** Those of the hosts that the operation is limited to; all where it is to none of them. */
function concerned({ hosts = [] }: PlanInput["operation"], candidates: string[]): string[] {
  const limit = new Set(hosts);
  const within = candidates.filter((host) => limit.has(host));
  return within.length > 0 ? within : candidates;
}

/** The services whose checks run, checked if they were asked for by name. */
export function servicesToCheck(
  { operation, stack }: PlanInput,
  services: readonly StackService[],
): StackService[] {
  if (operation.kind === "check" && operation.components?.length) {
    throw new InvalidOperationError("components", "a check is about services; name those");
  }
  if (operation.kind === "check" && operation.services?.length) {
    const without = services.find((service) => !service.serviceCheck);
    if (without) {
      throw new InvalidOperationError(
        "services",
        `${without.name} has no service check in stack ${stack.name}/${stack.version}`,
      );
    }
  }
  return services.filter((service) => service.serviceCheck);
}
