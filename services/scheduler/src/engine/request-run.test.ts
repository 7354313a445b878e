import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
import { HostQueues } from "./host-queues.js";
import { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";

type Place = [taskId: number, stageId: number, roleIndex: number, hostId: number];

function task([taskId, stageId, roleIndex, hostId]: Place, requestId = 1n): RunTask {
  return {
    taskId: BigInt(taskId),
    requestId,
    stageId,
    roleIndex,
    hostId: BigInt(hostId),
    timeoutMs: 1_000,
    status: Status.PENDING,
    attempt: 1,
    version: 1n,
    cancelRequested: false,
    sessionEpoch: 0n,
    asked: false,
  };
}

/** Two stages: role A on hosts 1 and 2 with role B on host 3, then role C on host 1. */
const places: Place[] = [
  [1, 0, 0, 1],
  [2, 0, 0, 2],
  [3, 0, 1, 3],
  [4, 1, 0, 1],
];

function run(
  options: Partial<{
    onFailure: OnFailure;
    factor: number;
    requestId: bigint;
    places: Place[];
    statuses: Partial<Record<number, TaskStatus>>;
    stopping: boolean;
  }> = {},
): RequestRun {
  const { onFailure = OnFailure.ABORT, factor = 1, requestId = 1n, statuses = {} } = options;
  return new RequestRun({
    requestId,
    version: 1n,
    onFailure,
    stopping: options.stopping ?? false,
    cancelRequested: false,
    reason: "",
    stages: [
      {
        roles: [
          { name: "A", successFactor: factor },
          { name: "B", successFactor: 1 },
        ],
      },
      { roles: [{ name: "C", successFactor: 1 }] },
    ],
    tasks: (options.places ?? places).map((place) => ({
      ...task(place, requestId),
      status: statuses[place[0]] ?? Status.PENDING,
    })),
  });
}

let version = 1n;
function change(target: RequestRun, taskId: number, status: TaskStatus, more: object = {}) {
  version += 1n;
  return target.apply({
    taskId: BigInt(taskId),
    requestId: target.requestId,
    status,
    attempt: 1,
    version,
    cancelRequested: false,
    sessionEpoch: 1n,
    ...more,
  });
}

function ids(tasks: Iterable<RunTask>): number[] {
  return [...tasks].map((each) => Number(each.taskId));
}

describe("RequestRun", () => {
  it("lets only the first unfinished stage be released", () => {
    const target = run();
    assert.deepEqual(ids(target.releasable(1n)), [1]);
    assert.deepEqual(ids(target.releasable(3n)), [3]);
    for (const id of [1, 2, 3]) change(target, id, Status.COMPLETED);
    assert.deepEqual(ids(target.releasable(1n)), []);
    assert.deepEqual(target.moveOn(), [1n]);
    assert.deepEqual(ids(target.releasable(1n)), [4]);
  });

  it("takes in no change twice, and none that is older than what it knows", () => {
    const target = run();
    const news = { version: 50n };
    assert.ok(change(target, 1, Status.IN_PROGRESS, news));
    assert.equal(change(target, 1, Status.QUEUED, { version: 49n }), undefined);
    assert.equal(change(target, 1, Status.COMPLETED, news), undefined);
    assert.equal(target.task(1n)?.status, Status.IN_PROGRESS);
  });

  it("gives up what waits as soon as a role cannot succeed, and cancels what runs only when that role has ended", () => {
    const target = run();
    for (const id of [1, 2, 3]) change(target, id, Status.IN_PROGRESS);
    change(target, 1, Status.FAILED);
    const first = target.decide();
    assert.deepEqual(ids(first.giveUp), [4]);
    assert.deepEqual(ids(first.cancel), []);
    assert.equal(first.abort?.reason, "stage 0: A failed on 1 host");
    assert.ok(first.abort);
    target.marked(first.abort);
    change(target, 4, Status.ABORTED);
    change(target, 2, Status.COMPLETED);
    assert.deepEqual(ids(target.decide().cancel), [3]);
  });

  it("does not fail a role whose factor still holds, and then goes on to the next stage", () => {
    const target = run({ factor: 0.5 });
    change(target, 1, Status.FAILED);
    assert.deepEqual(target.decide(), { giveUp: [], cancel: [] });
    change(target, 2, Status.COMPLETED);
    change(target, 3, Status.COMPLETED);
    assert.deepEqual(target.moveOn(), [1n]);
  });

  it("does not go on after a failure that it only learns of when it takes over", () => {
    const target = run({
      statuses: { 1: Status.FAILED, 2: Status.COMPLETED, 3: Status.COMPLETED },
    });
    assert.deepEqual(ids(target.releasable(1n)), []);
    const { giveUp, abort } = target.decide();
    assert.deepEqual(ids(giveUp), [4]);
    assert.match(abort?.reason ?? "", /A failed on 1 host/);
  });

  it("counts UNKNOWN as failed for its stage", () => {
    const target = run();
    for (const id of [2, 3]) change(target, id, Status.COMPLETED);
    change(target, 1, Status.UNKNOWN);
    assert.deepEqual(target.moveOn(), []);
    assert.deepEqual(ids(target.decide().giveUp), [4]);
  });

  it("goes on after a failure when the request says CONTINUE", () => {
    const target = run({ onFailure: OnFailure.CONTINUE });
    change(target, 1, Status.FAILED);
    for (const id of [2, 3]) change(target, id, Status.COMPLETED);
    assert.deepEqual(target.decide(), { giveUp: [], cancel: [] });
    assert.deepEqual(target.moveOn(), [1n]);
  });

  it("cancels: gives up what waits, asks what may run, once each", () => {
    const target = run();
    change(target, 1, Status.QUEUED);
    assert.equal(target.cancel("enough"), true);
    assert.equal(target.cancel("again"), false);
    const { giveUp, cancel, abort } = target.decide();
    assert.deepEqual([ids(giveUp), ids(cancel)], [[2, 3, 4], [1]]);
    assert.deepEqual(abort, { cancelled: true, reason: "enough" });
    target.marked(abort);
    for (const id of [2, 3, 4]) change(target, id, Status.ABORTED);
    change(target, 1, Status.QUEUED, { cancelRequested: true });
    assert.deepEqual(target.decide(), { giveUp: [], cancel: [] });
    assert.deepEqual(ids(target.releasable(2n)), []);
  });

  it("still marks a cancel that came while a failure was being marked", () => {
    const target = run();
    for (const id of [1, 2, 3]) change(target, id, Status.IN_PROGRESS);
    change(target, 1, Status.FAILED);
    const { abort: failure } = target.decide();
    assert.ok(failure);
    target.cancel("enough");
    target.marked(failure);
    const { abort: cancel } = target.decide();
    assert.deepEqual(cancel, { cancelled: true, reason: "enough" });
    assert.ok(cancel);
    target.marked(cancel);
    assert.equal(target.decide().abort, undefined);
  });

  it("stops when it reads that another scheduler has stopped it", () => {
    const target = run();
    target.adopt({ stopping: true, cancelRequested: true, reason: "enough" });
    assert.deepEqual(ids(target.releasable(1n)), []);
    const { giveUp, abort } = target.decide();
    assert.deepEqual([ids(giveUp), abort, target.reason], [[1, 2, 3, 4], undefined, "enough"]);
  });

  it("keeps a host's tasks in the order of their ids when one is to run again", () => {
    const many: Place[] = [1, 2, 3].map((id) => [id, 0, 0, 1]);
    const target = run({ places: many });
    change(target, 2, Status.QUEUED);
    change(target, 2, Status.PENDING, { attempt: 2 });
    assert.deepEqual(ids(target.releasable(1n)), [1, 2, 3]);
    assert.deepEqual(ids(target.releasable(1n, 2)), [1, 2]);
  });

  it("lets a task that never started be released again, and gives it up when the request is stopping", () => {
    const target = run();
    change(target, 1, Status.QUEUED);
    assert.deepEqual(ids(target.releasable(1n)), []);
    change(target, 1, Status.PENDING);
    assert.deepEqual(ids(target.releasable(1n)), [1]);
    const stopping = run({ stopping: true });
    assert.deepEqual(ids(stopping.decide().giveUp), [1, 2, 3, 4]);
  });

  it("is over when nothing waits, runs or is held", () => {
    const target = run();
    for (const id of [1, 2, 3]) change(target, id, Status.COMPLETED);
    assert.equal(target.over, false);
    change(target, 4, Status.UNKNOWN);
    assert.equal(target.over, true);
  });
});

describe("HostQueues", () => {
  const session = { dispatcher: "d", epoch: 1n };

  function apply(queues: HostQueues, target: RequestRun, id: number, status: TaskStatus) {
    const applied = change(target, id, status);
    assert.ok(applied);
    queues.changed(target, applied.task, applied.before);
  }

  it("gives a host nothing while its agent is away", () => {
    const queues = new HostQueues();
    queues.addRun(run());
    assert.deepEqual(ids(queues.next(1n)), []);
    queues.opened(1n, session);
    assert.deepEqual(ids(queues.next(1n)), [1]);
    queues.closed(1n, 1n);
    assert.deepEqual(ids(queues.next(1n)), []);
  });

  it("keeps a newer request off a host until the older one has done all it will do there", () => {
    const queues = new HostQueues();
    const older = run();
    const newer = run({ requestId: 2n });
    queues.addRun(newer);
    queues.addRun(older);
    for (const hostId of [1n, 2n]) queues.opened(hostId, session);
    assert.deepEqual(
      queues.next(2n).map((each) => each.requestId),
      [1n],
    );
    apply(queues, older, 2, Status.COMPLETED);
    assert.deepEqual(
      queues.next(2n).map((each) => each.requestId),
      [2n],
    );
    // On host 1 the older request has a task of its second stage.
    apply(queues, older, 1, Status.COMPLETED);
    assert.deepEqual(queues.next(1n), []);
  });

  it("sends at most four commands that have not started ahead", () => {
    const queues = new HostQueues();
    const many: Place[] = Array.from({ length: 6 }, (_, at) => [at + 1, 0, 0, 1]);
    const target = run({ places: many });
    queues.addRun(target);
    queues.opened(1n, session);
    assert.deepEqual(ids(queues.next(1n)), [1, 2, 3, 4]);
    for (const id of [1, 2, 3, 4]) apply(queues, target, id, Status.QUEUED);
    assert.deepEqual(ids(queues.next(1n)), []);
    apply(queues, target, 1, Status.IN_PROGRESS);
    assert.deepEqual(ids(queues.next(1n)), [5]);
  });

  it("keeps the newest session of a host, in whatever order it is told", () => {
    const queues = new HostQueues();
    queues.opened(1n, { dispatcher: "b", epoch: 7n });
    queues.opened(1n, { dispatcher: "a", epoch: 6n });
    queues.closed(1n, 6n);
    assert.deepEqual(queues.session(1n), { dispatcher: "b", epoch: 7n });
    queues.dispatcherHas("a", new Set());
    assert.deepEqual(queues.session(1n), { dispatcher: "b", epoch: 7n });
    queues.dispatcherHas("b", new Set());
    assert.equal(queues.session(1n), undefined);
  });
});
