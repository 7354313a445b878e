import type { Operation } from "./operation.js";

/** What is in maintenance, and why; empty where nobody said. */
export interface InMaintenance {
  /** Hosts, by name. */
  readonly hosts: ReadonlyMap<string, string>;
  /** Services of the cluster, by name. */
  readonly services: ReadonlyMap<string, string>;
  /** Components on hosts, by `placeOf`. */
  readonly components: ReadonlyMap<string, string>;
}

/** Nothing is. */
export const noMaintenance: InMaintenance = {
  hosts: new Map(),
  services: new Map(),
  components: new Map(),
};

/** A component on a host, as a key. */
export function placeOf(component: string, host: string): string {
  return `${component}/${host}`;
}

/** A task to be: what on which host. */
export interface Place {
  readonly host: string;
  /** Absent without a cluster. */
  readonly service?: string;
  /** Absent for a service's check, and without a cluster. */
  readonly component?: string;
}

/** What an operation says about which things it is about. */
export type Naming = Pick<Operation, "services" | "components" | "namedHosts">;

/** Whether the maintenance of its host keeps something from being done; naming the host is to ask for it all the same [S 7.2]. */
export function hostReason(
  { hosts }: InMaintenance,
  { namedHosts }: Naming,
  { host }: Place,
): string | undefined {
  const reason = hosts.get(host);
  return reason === undefined || namedHosts?.has(host) ? undefined : withReason("", reason);
}

/**
 * Whether the maintenance of a service, or of a component on a host, keeps something from being done. Naming the service is to ask for it
 * all the same although the service is in maintenance, naming the component also although the component itself is [S 7.2].
 */
export function serviceReason(
  { services, components }: InMaintenance,
  naming: Naming,
  { host, service, component }: Place,
): string | undefined {
  const isNamed = component !== undefined && naming.components?.includes(component);
  if (isNamed) return undefined;
  const own = component === undefined ? undefined : components.get(placeOf(component, host));
  if (own !== undefined) return withReason(`${component} is `, own);
  const reason = service === undefined ? undefined : services.get(service);
  if (reason === undefined || naming.services?.includes(service ?? "")) return undefined;
  return withReason(`${service} is `, reason);
}

function withReason(subject: string, reason: string): string {
  return `${subject}in maintenance${reason === "" ? "" : `: ${reason}`}`;
}
