import { create } from "@bufbuild/protobuf";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { InvalidOperationError } from "./operation.js";
import { type HostsInput, planOnHosts } from "./plan-on-hosts.js";
import type { Plan } from "./plan-operation.js";

/** A command line for hosts, without a cluster. */
export interface AdHocInput extends HostsInput {
  /** The program and its arguments, passed on as they are; at least one. */
  readonly argv: readonly string[];
  /** How long it may run. Default 900,000. */
  readonly timeoutMs?: number;
}

/** Plans a command line: one stage with the role RUN. */
export function planAdHoc({ argv, timeoutMs = 900_000, ...input }: AdHocInput): Plan {
  if (argv.length === 0) {
    throw new InvalidOperationError("argv", "is empty; name the program to run");
  }
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0) {
    throw new InvalidOperationError("timeoutMs", `${timeoutMs} must be a whole number above 0`);
  }
  return planOnHosts(input, {
    ...{ role: "RUN", verb: "EXECUTE", roleCommand: RoleCommand.EXECUTE },
    spec: create(CommandSpecSchema, { argv: [...argv], timeoutMs: BigInt(timeoutMs) }),
  });
}
