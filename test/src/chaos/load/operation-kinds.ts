import type { MessageInitShape } from "@bufbuild/protobuf";
import { OnFailure, type OperationSchema } from "@howdah/proto/howdah/v1/operation";
import type { SubmitRequestRequestSchema } from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { Asked } from "../check/history.js";
import type { Random } from "../random.js";

/** What the kinds draw on. */
export interface LoadGround {
  readonly hosts: readonly string[];
  /** The path of command.sh. */
  readonly command: string;
  /** Tells the stub of a host what to do when it gets a role command, such as "WORKER-START". */
  behave(
    host: string,
    roleCommand: string,
    behaviour: { readonly seconds: number; readonly lines: number; readonly exit: number },
  ): void;
}

/** An operation of the load: what is sent, and what the checks know of it. */
export interface PlannedOperation {
  readonly kind: string;
  readonly request: MessageInitShape<typeof SubmitRequestRequestSchema>;
  readonly asked: Omit<Asked, "context">;
}

/** Makes an operation of one kind. */
export type OperationKind = (random: Random, ground: LoadGround) => PlannedOperation;

type Operation = MessageInitShape<typeof OperationSchema>;

const policies = ["ABORT", "ABORT", "CONTINUE", "SKIP"] as const;

/** A command line on some hosts: short or long, with little or much output, now and then failing or cut off by its time-out. */
const adHoc: OperationKind = (random, { hosts, command }) => {
  const chosen = random.some(hosts, random.chance(0.3) ? hosts.length : random.between(1, 5));
  const seconds = random.pick([0, 0, 0, 0.1, 0.3, 1, 4]);
  const lines = random.pick([0, 1, 20, 500, 20_000]);
  const exit = random.chance(0.1) ? random.between(1, 3) : 0;
  const onFailure = random.pick(policies);
  const timedOut = seconds > 1 && random.chance(0.15);
  return {
    kind: "ad-hoc",
    request: {
      operation: {
        kind: {
          case: "adHoc",
          value: {
            argv: ["/bin/sh", command, String(seconds), String(lines), String(exit)],
            hosts: { names: chosen },
            timeout: { seconds: timedOut ? 1n : 300n },
          },
        },
      },
      options: { onFailure: OnFailure[onFailure] },
    },
    asked: { hosts: chosen, onFailure, ...(onFailure === "ABORT" && { maxFailures: 0 }) },
  };
};

const verbs = [RoleCommand.INSTALL, RoleCommand.START, RoleCommand.STOP, RoleCommand.RESTART];

/** All of the cluster's services, stage by stage. */
const staged: OperationKind = (random, { hosts, behave }) => {
  const roleCommand = random.pick(verbs);
  for (const host of random.some(hosts, random.between(0, 4))) {
    const role = host === hosts[0] ? random.pick(["LEADER", "WORKER"]) : "WORKER";
    behave(host, `${role}-${RoleCommand[roleCommand]}`, {
      seconds: random.pick([0, 0.2, 1]),
      lines: random.pick([0, 10, 1_000]),
      exit: random.chance(0.1) ? 1 : 0,
    });
  }
  const onFailure = random.pick(policies);
  return {
    kind: "staged",
    request: withOptions(
      { kind: { case: "service", value: { cluster: "test", roleCommand } } },
      onFailure,
    ),
    asked: { hosts, onFailure, ...(onFailure === "ABORT" && { maxFailures: 0 }) },
  };
};

/** A custom command of the leader. */
const custom: OperationKind = (_, { hosts }) => ({
  kind: "custom command",
  request: withOptions(
    {
      kind: {
        case: "customCommand",
        value: { cluster: "test", service: "STORE", component: "LEADER", command: "REBALANCE" },
      },
    },
    "ABORT",
  ),
  asked: { hosts: hosts.slice(0, 1), onFailure: "ABORT", maxFailures: 0 },
});

function withOptions(operation: Operation, onFailure: Asked["onFailure"]) {
  return { operation, options: { onFailure: OnFailure[onFailure] } };
}

/**
 * The kinds of the load, those to be chosen more often named more often. Dependency-ordered and rolling requests, retries and
 * schedules get their places here as they are built.
 */
export const operationKinds: readonly OperationKind[] = [adHoc, adHoc, adHoc, staged, custom];
