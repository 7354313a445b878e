import type { CommandSpec } from "@howdah/proto/howdah/v1/command";
import type { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { availabilityOf } from "./availability.js";
import { noMaintenance } from "./maintenance.js";
import { InvalidOperationError, type Operation } from "./operation.js";
import type { HostState } from "./plan-input.js";
import type { Plan } from "./plan-operation.js";

/** Which hosts take part, whatever runs there. */
export interface HostsInput {
  /** Names of hosts, each once counts; at least one. The caller has checked that they exist. */
  readonly hosts: readonly string[];
  readonly hostStates?: ReadonlyMap<string, HostState>;
  /** The hosts that are in maintenance, and why. */
  readonly inMaintenance?: ReadonlyMap<string, string>;
  /** The hosts that were named plainly, not by patterns or labels: their maintenance does not leave them out. */
  readonly namedHosts?: ReadonlySet<string>;
  readonly offlineHosts?: NonNullable<Operation["offlineHosts"]>;
  /** The share of the hosts on which it must succeed. Default 1. */
  readonly successFactor?: number;
}

/** One command for hosts. */
export interface HostsCommand {
  readonly role: string;
  /** How the role's id and messages call the command, such as `EXECUTE`. */
  readonly verb: string;
  readonly roleCommand: RoleCommand;
  readonly spec: CommandSpec;
}

/** Plans one command on hosts: one stage with one role. */
export function planOnHosts(input: HostsInput, command: HostsCommand): Plan {
  if (input.hosts.length === 0) {
    throw new InvalidOperationError("hosts", "is empty; name at least one host");
  }
  const { role, verb, roleCommand, spec } = command;
  const { inMaintenance, ...operation } = input;
  const maintenance = { ...noMaintenance, ...(inMaintenance && { hosts: inMaintenance }) };
  const availability = availabilityOf({ ...input, maintenance, operation });
  const hosts = availability.take([...new Set(input.hosts)].sort(), `${role} ${verb}`);
  const planned = {
    ...{ id: `${role}-${verb}`, role, roleCommand, customCommand: "", hosts, spec },
    ...{ successFactor: input.successFactor ?? 1, blockers: [] },
  };
  return {
    stages: hosts.length > 0 ? [{ roles: [planned] }] : [],
    skippedHosts: availability.skipped(),
    skippedChecks: [],
    unchanged: 0,
  };
}
