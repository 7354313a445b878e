/** An operation on a cluster, as the planner takes it. Names are checked; one that is not there is an error. */
export interface Operation {
  /**
   * What is done. install, uninstall, upgrade, configure and restart take in clients; start and stop do not. check runs the
   * services' checks alone; custom runs `customCommand` of `components`.
   */
  readonly kind:
    | "install"
    | "uninstall"
    | "upgrade"
    | "configure"
    | "start"
    | "stop"
    | "restart"
    | "check"
    | "custom";
  /** Only these services; none means all of the cluster. */
  readonly services?: readonly string[];
  /** Only these components, which must belong to `services` if any are named; none means all. */
  readonly components?: readonly string[];
  /** Only on these hosts; none means all. */
  readonly hosts?: readonly string[];
  /** Those of them that were named plainly, not by patterns or labels: their own maintenance does not leave them out. */
  readonly namedHosts?: ReadonlySet<string>;
  /** start and restart end with the checks of the services they touch. Default false; others ignore it. */
  readonly runServiceChecks?: boolean;
  /** The name of the custom command; required for custom. */
  readonly customCommand?: string;
  /** Parameters for `commandParams` and `roleParams` of every command. */
  readonly commandParams?: Readonly<Record<string, string>>;
  readonly roleParams?: Readonly<Record<string, string>>;
  /** Replaces the time-out of every command. */
  readonly timeoutMs?: number;
  /** Success factors by role, 0 to 1, instead of the defaults. */
  readonly successFactors?: Readonly<Record<string, number>>;
  /** DEPENDENCY_ORDERED puts everything into one stage; `blockers` of its roles hold the order. Default STAGE. */
  readonly executionType?: "STAGE" | "DEPENDENCY_ORDERED";
  /** Lost hosts and hosts in maintenance: left out and listed, planned all the same, or an error. Default skip. */
  readonly offlineHosts?: "skip" | "wait" | "refuse";
  /** install, start, stop and restart go by no state: they take in what is done already, or was never installed. Default false. */
  readonly evenIfDone?: boolean;
  /** restart takes in only what requires one. Default false; others ignore it. */
  readonly restartRequiredOnly?: boolean;
}

/** Thrown when an operation asks for something that the cluster or its stack does not have, or makes no sense. */
export class InvalidOperationError extends Error {
  override readonly name = "InvalidOperationError";

  constructor(
    /** The field of the operation that is wrong, such as `services`. */
    readonly field: string,
    problem: string,
  ) {
    super(`${field}: ${problem}`);
  }
}

/** Thrown when an operation that refuses lost hosts, or hosts in maintenance, would touch some. */
export class HostsOfflineError extends Error {
  override readonly name = "HostsOfflineError";

  constructor(readonly hosts: readonly { host: string; reason: string }[]) {
    const named = hosts.map(({ host, reason }) => `${host} (${reason})`);
    super(
      `hosts are not available: ${shorten(named)}; let the operation skip them or wait for them`,
    );
  }
}

/** A list for an error message: at most 20 names, and how many more. */
export function shorten(names: readonly string[]): string {
  if (names.length === 0) return "none";
  const more = names.length - 20;
  return names.slice(0, 20).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
