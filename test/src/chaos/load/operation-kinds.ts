import type { MessageInitShape } from "@bufbuild/protobuf";
import { ExecutionType, type OperationSchema } from "@howdah/proto/howdah/v1/operation";
import type { SubmitRequestRequestSchema } from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { Asked } from "../check/history.js";
import type { Random } from "../random.js";
import {
  all,
  type Choice,
  exclusive,
  onFailure,
  retries,
  rollingBatches,
  sharing,
} from "./request-options.js";

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

function planned(
  kind: string,
  operation: Operation,
  hosts: readonly string[],
  { options, asked }: Choice,
): PlannedOperation {
  const usual = { onFailure: "ABORT", maxFailures: 0 } as const;
  const known = asked.onFailure === undefined ? usual : { onFailure: asked.onFailure };
  return { kind, request: { operation, options }, asked: { ...asked, hosts, ...known } };
}

interface Script {
  readonly hosts: readonly string[];
  readonly seconds: number;
  readonly lines: number;
  readonly exit: number;
  readonly timeoutSeconds?: number;
}

function script(
  { command }: LoadGround,
  { hosts, seconds, lines, exit, timeoutSeconds = 300 }: Script,
): Operation {
  const argv = ["/bin/sh", command, String(seconds), String(lines), String(exit)];
  const timeout = { seconds: BigInt(timeoutSeconds) };
  return { kind: { case: "adHoc", value: { argv, hosts: { names: [...hosts] }, timeout } } };
}

/** A command line on some hosts: short or long, with little or much output, now and then failing or cut off by its time-out. */
const adHoc: OperationKind = (random, ground) => {
  const { hosts: every } = ground;
  const hosts = random.some(every, random.chance(0.3) ? every.length : random.between(1, 5));
  const seconds = random.pick([0, 0, 0, 0.1, 0.3, 1, 4]);
  const lines = random.pick([0, 1, 20, 500, 20_000]);
  const exit = random.chance(0.1) ? random.between(1, 3) : 0;
  const timeoutSeconds = seconds > 1 && random.chance(0.15) ? 1 : 300;
  return planned(
    "ad-hoc",
    script(ground, { hosts, seconds, lines, exit, timeoutSeconds }),
    hosts,
    all(onFailure(random), retries(random), sharing(random)),
  );
};

/** A short command line, alone in the installation. */
const alone: OperationKind = (random, ground) => {
  const hosts = random.some(ground.hosts, random.between(1, 4));
  const seconds = random.pick([0.1, 0.3, 1]);
  const what = { hosts, seconds, lines: 5, exit: random.chance(0.1) ? 1 : 0 };
  return planned("exclusive", script(ground, what), hosts, all(retries(random), exclusive));
};

const verbs = [RoleCommand.INSTALL, RoleCommand.START, RoleCommand.STOP, RoleCommand.RESTART];

const ofServices: Choice = { options: {}, asked: { names: "services" } };

/** All of the cluster's services, stage by stage. */
const staged: OperationKind = (random, ground) => {
  const roleCommand = random.pick(verbs);
  changeStubs(random, ground, roleCommand);
  const how = all(onFailure(random), retries(random), sharing(random));
  return planned("staged", services(roleCommand), ground.hosts, all(how, ofServices));
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
  const ordered: Choice = {
    options: { executionType: ExecutionType.DEPENDENCY_ORDERED },
    asked: { blockers },
  };
  const how = all(retries(random), sharing(random), ordered, ofServices);
  return planned("dependency-ordered", services(roleCommand), ground.hosts, how);
};

/** A rolling restart. */
const rolling: OperationKind = (random, ground) => {
  changeStubs(random, ground, RoleCommand.RESTART);
  const how = all(retries(random), rollingBatches(random), ofServices);
  return planned("rolling", services(RoleCommand.RESTART), ground.hosts, how);
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
  // What is done already is done again: a load needs tasks.
  const value = { cluster: "test", roleCommand, evenIfDone: true };
  return { kind: { case: "service", value } };
}

/** A custom command of the leader. */
const custom: OperationKind = (random, { hosts }) => {
  const where = { cluster: "test", service: "STORE", component: "LEADER" };
  const operation: Operation = {
    kind: { case: "customCommand", value: { ...where, command: "REBALANCE" } },
  };
  const how = all(retries(random), ofServices);
  return planned("custom command", operation, hosts.slice(0, 1), how);
};

/** The kinds of the load, those to be chosen more often named more often. */
export const operationKinds: readonly OperationKind[] = [
  ...[adHoc, adHoc, adHoc, adHoc, adHoc, alone],
  ...[adHoc, staged, staged, custom, dependencyOrdered, rolling],
];
