import { Concurrency, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
import { RequestRun } from "../engine/request-run.js";
import type { RoleContents, RunContents, RunOptions } from "../engine/run-contents.js";
import type { RunTask } from "../engine/run-task.js";

/** Where a task is, for tests of what has no I/O. */
export type Place = [
  taskId: number,
  stageId: number,
  roleIndex: number,
  hostId: number,
  batch?: number,
];

/** A task that nothing has happened to. */
export function task(
  [taskId, stageId, roleIndex, hostId, batch = 0]: Place,
  requestId = 1n,
): RunTask {
  return {
    ...{ taskId: BigInt(taskId), requestId, stageId, roleIndex, batch, hostId: BigInt(hostId) },
    ...{ timeoutMs: 1_000, status: Status.PENDING, attempt: 1, version: 1n, sessionEpoch: 0n },
    ...{ cancelRequested: false, asked: false, backingOff: false, since: 0 },
  };
}

/** How requests run when nothing is said. */
export const usualOptions: RunOptions = {
  onFailure: OnFailure.ABORT,
  dependencyOrdered: false,
  batchPauseMs: 0,
  hasBudget: false,
  concurrency: Concurrency.IN_ORDER,
  maxInFlight: 0,
  waitsForHosts: false,
  window: "",
};

/** A role of which all tasks must succeed. */
export function role(name: string, more: Partial<RoleContents> = {}): RoleContents {
  return { name, successFactor: 1, blockers: [], manual: false, background: false, ...more };
}

/** Two stages: role A on hosts 1 and 2 with role B on host 3, then role C on host 1. */
const usualPlaces: Place[] = [
  [1, 0, 0, 1],
  [2, 0, 0, 2],
  [3, 0, 1, 3],
  [4, 1, 0, 1],
];

/** How a request differs from the usual one. */
type RunDetails = Partial<RunOptions> & {
  factor?: number;
  requestId?: bigint;
  runNumber?: number;
  places?: Place[];
  stages?: RoleContents[][];
  statuses?: Partial<Record<number, TaskStatus>>;
  attempts?: Partial<Record<number, number>>;
  stopping?: boolean;
  paused?: boolean;
};

/** A request of which what is due at first is known; without places the usual one: role A on hosts 1 and 2 with role B on host 3, then role C on host 1. */
export function run(more: RunDetails = {}): RequestRun {
  const target = newRun(more);
  target.moveOn();
  return target;
}

/** A request that was just taken in. */
export function newRun(more: RunDetails = {}): RequestRun {
  return new RequestRun(runContents(more));
}

/** What a request is made of. */
export function runContents(more: RunDetails = {}): RunContents {
  const { factor = 1, requestId = 1n, runNumber = 1, statuses = {}, attempts = {} } = more;
  const { places = usualPlaces, stopping = false, paused = false, ...others } = more;
  const stages = others.stages ?? [[role("A", { successFactor: factor }), role("B")], [role("C")]];
  return {
    ...{ requestId, version: 1n, run: runNumber, ageMs: 0, hostNames: new Map() },
    ...{ stopping, cancelRequested: false, reason: "", paused, pauseReason: "" },
    options: { ...usualOptions, ...others },
    stages: stages.map((roles) => ({ roles })),
    tasks: places.map((place) => ({
      ...task(place, requestId),
      status: statuses[place[0]] ?? Status.PENDING,
      attempt: attempts[place[0]] ?? 1,
    })),
  };
}

let version = 1n;

/** Has a task of the request change. */
export function change(target: RequestRun, taskId: number, status: TaskStatus, more: object = {}) {
  version += 1n;
  return target.apply({
    taskId: BigInt(taskId),
    requestId: target.requestId,
    ...{ status, attempt: 1, version, cancelRequested: false, sessionEpoch: 1n, ...more },
  });
}

/** The ids of tasks, in order. */
export function ids(tasks: Iterable<RunTask>): number[] {
  return [...tasks].map((each) => Number(each.taskId));
}
