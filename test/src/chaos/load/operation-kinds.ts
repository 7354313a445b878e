import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ExecutionType,
  Guarantee,
  OnFailure,
  type OperationSchema,
} from "@howdah/proto/howdah/v1/operation";
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

const policies = ["ABORT", "ABORT", "CONTINUE", "SKIP", "HOLD"] as const;

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
      options: { onFailure: OnFailure[onFailure], ...retries(random) },
    },
    asked: { hosts: chosen, onFailure, ...(onFailure === "ABORT" && { maxFailures: 0 }) },
  };
};

interface Retries {
  readonly retry?: { readonly maxAttempts: number; readonly backoff: { readonly nanos: number } };
  readonly guarantee?: Guarantee;
}

/** Sometimes failures are tried again, and a command may be run again that its host's end interrupted. */
function retries(random: Random): Retries {
  if (!random.chance(0.4)) return {};
  return {
    retry: { maxAttempts: random.between(2, 3), backoff: { nanos: 200_000_000 } },
    guarantee: random.pick([Guarantee.ONCE_WITH_JOURNAL, Guarantee.AT_LEAST_ONCE]),
  };
}

const verbs = [RoleCommand.INSTALL, RoleCommand.START, RoleCommand.STOP, RoleCommand.RESTART];

/** All of the cluster's services, stage by stage. */
const staged: OperationKind = (random, ground) => {
  const roleCommand = random.pick(verbs);
  const onFailure = random.pick(policies);
  changeStubs(random, ground, roleCommand);
  return {
    kind: "staged",
    request: {
      operation: services(roleCommand),
      options: { onFailure: OnFailure[onFailure], ...retries(random) },
    },
    asked: { hosts: ground.hosts, onFailure, ...(onFailure === "ABORT" && { maxFailures: 0 }) },
  };
};

/** What the TEST stack's rules say of START and STOP. */
const blockers = {
  "WORKER-START": ["LEADER-START"],
  "LEADER-STOP": ["WORKER-STOP"],
  "STORE_SERVICE_CHECK-SERVICE_CHECK": ["LEADER-START", "WORKER-START"],
};

/** The same without barriers. */
const dependencyOrdered: OperationKind = (random, ground) => {
  const roleCommand = random.pick([RoleCommand.START, RoleCommand.STOP]);
  changeStubs(random, ground, roleCommand);
  return {
    kind: "dependency-ordered",
    request: {
      operation: services(roleCommand),
      options: { executionType: ExecutionType.DEPENDENCY_ORDERED, ...retries(random) },
    },
    asked: { hosts: ground.hosts, onFailure: "ABORT", maxFailures: 0, blockers },
  };
};

/** A rolling restart with a budget of failures; who exceeds it waits for an operator to resume. */
const rolling: OperationKind = (random, ground) => {
  const maxFailures = random.between(0, 2);
  changeStubs(random, ground, RoleCommand.RESTART);
  return {
    kind: "rolling",
    request: {
      operation: services(RoleCommand.RESTART),
      options: {
        onFailure: OnFailure.CONTINUE,
        rolling: {
          canary: 1,
          batch: { case: "batchPercent", value: 30 },
          pause: { nanos: 200_000_000 },
          maxFailures,
        },
      },
    },
    asked: { hosts: ground.hosts, onFailure: "CONTINUE", maxFailures },
  };
};

/** Tells a few stubs to be slow, to print much, or to fail, from now on. */
function changeStubs(random: Random, { hosts, behave }: LoadGround, roleCommand: RoleCommand) {
  for (const host of random.some(hosts, random.between(0, 4))) {
    const role = host === hosts[0] ? random.pick(["LEADER", "WORKER"]) : "WORKER";
    behave(host, `${role}-${RoleCommand[roleCommand]}`, {
      seconds: random.pick([0, 0.2, 1]),
      lines: random.pick([0, 10, 1_000]),
      exit: random.chance(0.2) ? 1 : 0,
    });
  }
}

function services(roleCommand: RoleCommand): Operation {
  return { kind: { case: "service", value: { cluster: "test", roleCommand } } };
}

/** A custom command of the leader. */
const custom: OperationKind = (_, { hosts }) => ({
  kind: "custom command",
  request: {
    operation: {
      kind: {
        case: "customCommand",
        value: { cluster: "test", service: "STORE", component: "LEADER", command: "REBALANCE" },
      },
    },
  },
  asked: { hosts: hosts.slice(0, 1), onFailure: "ABORT", maxFailures: 0 },
});

/** The kinds of the load, those to be chosen more often named more often. Schedules get their place here when they are built. */
export const operationKinds: readonly OperationKind[] = [
  ...[adHoc, adHoc, adHoc, adHoc],
  ...[staged, staged, custom, dependencyOrdered, rolling],
];
