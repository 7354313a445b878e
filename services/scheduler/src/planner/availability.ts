import { type HostState, HostsOfflineError, type Operation } from "./operation.js";

/** A host that a plan leaves out. */
export interface SkippedHost {
  readonly host: string;
  /** Why, for people. */
  readonly reason: string;
  /** What it would have done, `ROLE COMMAND` each. */
  readonly commands: readonly string[];
}

/** Tells which hosts take part, and remembers which do not. */
export interface Availability {
  /** The hosts that take part in a command; the others are remembered as skipped. */
  take(hosts: readonly string[], command: string): readonly string[];
  /** True for a host that takes part. */
  isAvailable(host: string): boolean;
  /** Those that were left out, by name. Throws HostsOfflineError if the operation refuses that. */
  skipped(): SkippedHost[];
}

const reasons: Readonly<Record<HostState, string>> = {
  LOST: "lost: no heartbeat",
  MAINTENANCE: "in maintenance",
};

/** Applies the operation's policy on hosts that are lost or in maintenance. */
export function availabilityOf(input: {
  readonly hostStates?: ReadonlyMap<string, HostState>;
  readonly offlineHosts?: Operation["offlineHosts"];
}): Availability {
  const states = input.hostStates ?? new Map<string, HostState>();
  const policy = input.offlineHosts ?? "skip";
  const commandsOf = new Map<string, string[]>();
  const isAvailable = (host: string) => policy === "wait" || !states.has(host);
  const reasonOf = (host: string) => {
    const state = states.get(host);
    return state === undefined ? "" : reasons[state];
  };
  return {
    isAvailable,
    take(hosts, command) {
      if (policy === "wait" || states.size === 0) return hosts;
      return hosts.filter((host) => {
        if (!states.has(host)) return true;
        const commands = commandsOf.get(host);
        if (commands) commands.push(command);
        else commandsOf.set(host, [command]);
        return false;
      });
    },
    skipped() {
      const skipped = [...commandsOf]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([host, commands]) => ({ host, reason: reasonOf(host), commands }));
      if (policy === "refuse" && skipped.length > 0) throw new HostsOfflineError(skipped);
      return skipped;
    },
  };
}
