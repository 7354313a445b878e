import { create } from "@bufbuild/protobuf";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { availabilityOf } from "./availability.js";
import { noMaintenance } from "./maintenance.js";
import { InvalidOperationError, type Operation } from "./operation.js";
import type { HostState } from "./plan-input.js";
import type { Plan } from "./plan-operation.js";

/** A command line for hosts, without a cluster. */
export interface AdHocInput {
  /** The program and its arguments, passed on as they are; at least one. */
  readonly argv: readonly string[];
  /** Names of hosts, each once counts; at least one. The caller has checked that they exist. */
  readonly hosts: readonly string[];
  /** How long it may run. Default 900,000. */
  readonly timeoutMs?: number;
  /** The share of the hosts on which it must succeed. Default 1. */
  readonly successFactor?: number;
  readonly hostStates?: ReadonlyMap<string, HostState>;
  /** The hosts that are in maintenance, and why. */
  readonly inMaintenance?: ReadonlyMap<string, string>;
  /** The hosts that were named plainly, not by patterns or labels: their maintenance does not leave them out. */
  readonly namedHosts?: ReadonlySet<string>;
  readonly offlineHosts?: NonNullable<Operation["offlineHosts"]>;
}

/** Plans a command line: one stage with the role RUN. */
export function planAdHoc(input: AdHocInput): Plan {
  if (input.argv.length === 0) {
    throw new InvalidOperationError("argv", "is empty; name the program to run");
  }
  if (input.hosts.length === 0) {
    throw new InvalidOperationError("hosts", "is empty; name at least one host");
  }
  const timeoutMs = input.timeoutMs ?? 900_000;
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0) {
    throw new InvalidOperationError("timeoutMs", `${timeoutMs} must be a whole number above 0`);
  }
  const { inMaintenance, ...operation } = input;
  const maintenance = { ...noMaintenance, ...(inMaintenance && { hosts: inMaintenance }) };
  const availability = availabilityOf({ ...input, maintenance, operation });
  const hosts = availability.take([...new Set(input.hosts)].sort(), "RUN EXECUTE");
  const role = {
    id: "RUN-EXECUTE",
    role: "RUN",
    roleCommand: RoleCommand.EXECUTE,
    customCommand: "",
    hosts,
    successFactor: input.successFactor ?? 1,
    spec: create(CommandSpecSchema, { argv: [...input.argv], timeoutMs: BigInt(timeoutMs) }),
    blockers: [],
  };
  return {
    stages: hosts.length > 0 ? [{ roles: [role] }] : [],
    skippedHosts: availability.skipped(),
    skippedChecks: [],
    unchanged: 0,
  };
}
