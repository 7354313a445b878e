import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExecutionType, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "../testing/eventually.js";
import { change, ids, newRun, type Place, role, run } from "../testing/runs.js";
import { World } from "../testing/world.js";
import { DependencyOrder } from "./dependency-order.js";

const never = 60_000;
const { SUCCEEDED, FAILED } = TaskEvent;
const { COMPLETED, UNKNOWN, PENDING } = Status;

// A before B before D; C by itself; D waits for C too.
const stages = [
  [
    role("A"),
    role("B", { blockers: [0] }),
    role("C"),
    role("D", { blockers: [1, 2], successFactor: 0.5 }),
  ],
];
const places: Place[] = [
  [1, 0, 0, 1],
  [2, 0, 0, 2],
  [3, 0, 1, 3],
  [4, 0, 2, 1],
  [5, 0, 3, 1],
  [6, 0, 3, 2],
];
const target = (more = {}) => run({ dependencyOrdered: true, stages, places, ...more });

describe("DependencyOrder", () => {
  it("lets a role begin when each of its blockers is done and has succeeded", () => {
    const one = target();
    assert.deepEqual(ids(one.releasable(3n)), []);
    change(one, 1, COMPLETED);
    assert.deepEqual([...one.moveOn().hosts], []);
    change(one, 2, COMPLETED);
    assert.deepEqual([...one.moveOn().hosts], [3n]);
    assert.deepEqual(ids(one.releasable(3n)), [3]);
    change(one, 3, COMPLETED);
    assert.deepEqual([...one.moveOn().hosts], []);
    change(one, 4, COMPLETED);
    assert.deepEqual([...one.moveOn().hosts], [1n, 2n]);
  });

  it("has hosts looked at first on which what is due has the longest path behind it", () => {
    const one = newRun({
      dependencyOrdered: true,
      stages: [[role("A"), role("B"), role("C", { blockers: [1] }), role("D", { blockers: [2] })]],
      places: [
        [1, 0, 0, 1],
        [2, 0, 1, 2],
        [3, 0, 2, 3],
        [4, 0, 3, 4],
      ],
    });
    assert.deepEqual([...one.moveOn().hosts], [2n, 1n]);
  });

  it("releases first what has the longest path behind it", () => {
    const order: Place[] = [
      [1, 0, 2, 1],
      [2, 0, 0, 1],
      [3, 0, 1, 1],
      [4, 0, 3, 2],
    ];
    assert.deepEqual(ids(target({ places: order }).releasable(1n)), [2, 1]);
  });

  it("aborts when a blocker has failed, by its success factor", () => {
    const one = target();
    change(one, 1, Status.FAILED);
    const { giveUp, abort } = one.decide();
    assert.deepEqual(ids(giveUp), [2, 3, 4, 5, 6]);
    assert.equal(abort?.reason, "stage 1: A failed on 1 host");
    const most = target({ statuses: { 1: COMPLETED, 2: COMPLETED, 3: COMPLETED, 4: COMPLETED } });
    change(most, 5, Status.FAILED);
    assert.deepEqual(ids(most.decide().giveUp), []);
  });

  it("goes on after a failed blocker when the request says CONTINUE", () => {
    const one = target({ onFailure: OnFailure.CONTINUE });
    change(one, 1, Status.FAILED);
    change(one, 2, COMPLETED);
    assert.deepEqual([...one.moveOn().hosts], [3n]);
  });

  it("holds back again when a blocker turns out not to have run", () => {
    const factor = [[role("A", { successFactor: 0.5 }), role("B", { blockers: [0] })]];
    const two: Place[] = [
      [1, 0, 0, 1],
      [2, 0, 0, 2],
      [3, 0, 1, 3],
    ];
    const one = target({ stages: factor, places: two });
    change(one, 1, COMPLETED);
    change(one, 2, UNKNOWN);
    one.moveOn();
    assert.deepEqual(ids(one.releasable(3n)), [3]);
    change(one, 2, PENDING);
    one.moveOn();
    assert.deepEqual(ids(one.releasable(3n)), []);
    assert.deepEqual(ids(one.releasable(2n)), [2]);
  });

  it("goes on from where it stands after a take-over", () => {
    const one = target({ statuses: { 1: COMPLETED, 2: COMPLETED, 4: COMPLETED } });
    assert.deepEqual(ids(one.releasable(3n)), [3]);
    assert.deepEqual(ids(one.releasable(1n)), []);
  });

  it("says which roles a task waits for", () => {
    const one = target();
    const task = one.task(5n);
    assert.ok(task);
    assert.deepEqual(one.waitsFor(task), {
      kind: "BLOCKER",
      text: "these roles must be done and have succeeded before: B (1 tasks to go), C (1 tasks to go)",
    });
  });

  it("looks at one role for a task that ends, however many there are", () => {
    let looks = 0;
    const roles = Array.from({ length: 2_000 }, (_, at) => ({
      ...role(`R${at}`, { blockers: at === 0 ? [] : [at - 1] }),
      ...{ stageId: 0, counts: {} },
    }));
    const order = new DependencyOrder(roles, () => {
      looks += 1;
      return true;
    });
    const task = run({ places: [[1, 0, 1_000, 1]], stages: [roles] }).task(1n);
    assert.ok(task);
    order.changed(task, 1);
    order.moveOn();
    looks = 0;
    order.changed(task, -1);
    const { opened } = order.moveOn();
    assert.deepEqual([looks, opened.length], [1, 1]);
  });
});

describe("an operation without barriers", () => {
  const dependencyOrdered = { executionType: ExecutionType.DEPENDENCY_ORDERED };
  const roles = [
    { role: "A", hosts: [1] },
    { role: "B", hosts: [2], blockers: [0] },
    { role: "C", hosts: [3] },
  ];

  it("starts a role as soon as its blockers are done, whatever else runs", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    const id = world.store.addRequest([roles], dependencyOrdered);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("A and C", () => d.taskIds.length === 2);
    await stays("B waits", 100, () => world.store.statuses(id)[1] === "PENDING");
    d.tell(world.store.report(1n, SUCCEEDED));
    await eventually("B", () => d.taskIds.length === 3);
    await world.statuses(id, "COMPLETED", "QUEUED", "QUEUED");
  });

  it("ends when a role fails", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    const id = world.store.addRequest([roles], dependencyOrdered);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("A and C", () => d.taskIds.length === 2);
    d.tell(world.store.report(1n, FAILED));
    await world.statuses(id, "FAILED", "ABORTED", "QUEUED");
    await eventually("C is cancelled", () => d.cancels.length === 1);
  });
});
