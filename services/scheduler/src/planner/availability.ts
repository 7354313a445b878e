import {
  hostReason,
  type InMaintenance,
  noMaintenance,
  type Place,
  serviceReason,
} from "./maintenance.js";
import { HostsOfflineError, type Operation } from "./operation.js";
import type { HostState } from "./plan-input.js";

/** A host that a plan leaves out, in all or for a service or component that is in maintenance. */
export interface SkippedHost {
  readonly host: string;
  /** Why, for people; several reasons with `; ` between them. */
  readonly reason: string;
  /** What it would have done, `ROLE COMMAND` each. */
  readonly commands: readonly string[];
}

/** Tells which hosts take part, and remembers which do not. */
export interface Availability {
  /** The hosts that take part in a command; the others are remembered as skipped. `about`: what of, in a cluster. */
  take(hosts: readonly string[], command: string, about?: Omit<Place, "host">): readonly string[];
  /** True for a host that takes part in commands as such. */
  isAvailable(host: string): boolean;
  /** Why what is of a service is left out: a component on a host, or without one the service's check. Undefined when it is not. */
  serviceReason(place: Place): string | undefined;
  /** Those that were left out, by name. Throws HostsOfflineError if the operation refuses that. */
  skipped(): SkippedHost[];
}

const lost: Readonly<Record<HostState, string>> = { LOST: "lost: no heartbeat" };

/**
 * Applies the operation's policy on hosts that are lost or in maintenance. A service or component in maintenance is left out whatever that
 * policy is, unless it is to refuse.
 */
export function availabilityOf(input: {
  readonly hostStates?: ReadonlyMap<string, HostState>;
  readonly maintenance?: InMaintenance;
  readonly operation: Pick<Operation, "services" | "components" | "namedHosts" | "offlineHosts">;
}): Availability {
  const { operation, hostStates: states, maintenance = noMaintenance } = input;
  const policy = operation.offlineHosts ?? "skip";
  const { hosts, services, components } = maintenance;
  const left = new Map<string, { reasons: Set<string>; commands: string[] }>();
  const away = (host: string) => {
    if (policy === "wait") return undefined;
    const state = states?.get(host);
    if (state !== undefined) return lost[state];
    return hosts.size === 0 ? undefined : hostReason(maintenance, operation, { host });
  };
  const ofService = (place: Place) =>
    services.size + components.size === 0
      ? undefined
      : serviceReason(maintenance, operation, place);
  const allWell = (states?.size ?? 0) + hosts.size + services.size + components.size === 0;
  return {
    isAvailable: (host) => away(host) === undefined,
    serviceReason: ofService,
    take(wanted, command, about = {}) {
      if (allWell) return wanted;
      return wanted.filter((host) => {
        const reason = away(host) ?? ofService({ ...about, host });
        if (reason === undefined) return true;
        const entry = left.get(host) ?? { reasons: new Set(), commands: [] };
        entry.reasons.add(reason);
        entry.commands.push(command);
        left.set(host, entry);
        return false;
      });
    },
    skipped() {
      const skipped = [...left]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([host, { reasons, commands }]) => {
          return { host, reason: [...reasons].join("; "), commands };
        });
      if (policy === "refuse" && skipped.length > 0) throw new HostsOfflineError(skipped);
      return skipped;
    },
  };
}
