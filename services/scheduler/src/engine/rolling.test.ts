import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnExceeded } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "../testing/eventually.js";
import { change, ids, newRun, type Place, role, run } from "../testing/runs.js";
import { World } from "../testing/world.js";

const never = 60_000;
const { SUCCEEDED, FAILED } = TaskEvent;
const { COMPLETED, QUEUED } = Status;

const stages = [[role("A")], [role("B")]];
const places: Place[] = [
  [1, 0, 0, 1, 0],
  [2, 0, 0, 2, 1],
  [3, 0, 0, 3, 1],
  [4, 1, 0, 1, 0],
  [5, 1, 0, 2, 1],
];
const rolling = (more = {}) => run({ stages, places, ...more });

describe("StageOrder", () => {
  it("opens a batch when the one before is done, in each stage", () => {
    const target = rolling();
    assert.deepEqual(ids(target.releasable(2n)), []);
    change(target, 1, COMPLETED);
    assert.deepEqual([...target.moveOn().hosts], [2n, 3n]);
    change(target, 2, COMPLETED);
    assert.deepEqual([...target.moveOn().hosts], []);
    change(target, 3, COMPLETED);
    assert.deepEqual([...target.moveOn().hosts], [1n]);
    assert.deepEqual(ids(target.releasable(1n)), [4]);
  });

  it("pauses between batches, not between stages", () => {
    const target = rolling({ batchPauseMs: 500 });
    change(target, 1, COMPLETED);
    assert.equal(target.moveOn().restMs, 500);
    assert.equal(target.moveOn().restMs, 0);
    assert.deepEqual(ids(target.releasable(2n)), []);
    target.rested();
    assert.deepEqual([...target.moveOn().hosts], [2n, 3n]);
    for (const id of [2, 3]) change(target, id, COMPLETED);
    const { hosts, restMs } = target.moveOn();
    assert.deepEqual([[...hosts], restMs], [[1n], 0]);
  });

  it("pauses anew after a take-over, unless the batch had begun", () => {
    const waiting = newRun({ stages, places, batchPauseMs: 500, statuses: { 1: COMPLETED } });
    assert.equal(waiting.moveOn().restMs, 500);
    assert.deepEqual(ids(waiting.releasable(2n)), []);
    const begun = rolling({ batchPauseMs: 500, statuses: { 1: COMPLETED, 2: QUEUED } });
    assert.deepEqual(ids(begun.releasable(3n)), [3]);
  });

  it("says what a task waits for", () => {
    const target = rolling();
    const words = (id: bigint) => {
      const task = target.task(id);
      return task && target.waitsFor(task)?.text;
    };
    assert.match(words(2n) ?? "", /batch 1 is not done: 1 of its tasks/);
    assert.match(words(4n) ?? "", /stage 1 is not done: 3 of its tasks/);
    assert.equal(words(1n), undefined);
  });
});

describe("a rolling operation", () => {
  const hosts = [1, 2, 3, 4];
  const roles = [[{ role: "A", hosts, batches: [0, 1, 1, 2] }]];

  async function start(t: Parameters<typeof World.start>[0], options: object, token = 1n) {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of hosts) d.open(host, 1);
    const id = world.store.addRequest(roles, { rolling: options });
    const { engine } = await world.scheduler(token, { reconcileMs: never });
    await eventually("the canary", () => d.taskIds.length === 1);
    return { world, d, id, engine, store: world.store };
  }

  it("goes batch by batch, with a pause between", async (t) => {
    const { d, store } = await start(t, { canary: 1, pause: { nanos: 200_000_000 } });
    const from = performance.now();
    d.tell(store.report(1n, SUCCEEDED));
    await eventually("the next batch", () => d.taskIds.length === 3);
    assert.ok(performance.now() - from >= 199, "it did not pause");
    d.tell(store.report(2n, SUCCEEDED));
    await stays("the last one waits", 300, () => d.taskIds.length === 3);
    d.tell(store.report(3n, SUCCEEDED));
    await eventually("the last one", () => d.taskIds.length === 4);
  });

  it("stops when its budget is exceeded, and goes on where it stopped once it is resumed", async (t) => {
    const { d, store, id, engine, world } = await start(t, { canary: 1, maxFailures: 0 });
    d.tell(store.report(1n, FAILED));
    await stays("nothing is released", 200, () => d.taskIds.length === 1);
    assert.match(store.stored(id).request.pauseReason, /1 task failed, the budget is 0/);
    const calls = store.recorded.length;
    await stays("no hot loop", 200, () => store.recorded.length === calls);
    const newer = store.addRequest([[{ role: "C", hosts: [2] }]]);
    const standing = {
      ...{ run: 1, stopping: false, cancelRequested: false, reason: "" },
      ...{ paused: true, pauseReason: "" },
    };
    const signal = AbortSignal.timeout(5_000);
    await engine.pauseRequest(id, { standing, paused: false, reason: "" }, signal);
    await world.statuses(id, "FAILED", "QUEUED", "QUEUED", "PENDING");
    assert.equal(store.statuses(newer)[0], "PENDING");
  });

  it("releases nothing although it has not heard that the store paused it", async (t) => {
    const { d, store, world, id } = await start(t, { canary: 1, maxFailures: 0 });
    store.report(1n, SUCCEEDED);
    store.stored(id).request.paused = true;
    d.tell(store.report(1n, SUCCEEDED));
    await eventually("it has asked", () => store.recorded.length > 1);
    await world.statuses(id, "COMPLETED", "PENDING", "PENDING", "PENDING");
    const calls = store.recorded.length;
    await stays("no hot loop", 200, () => store.recorded.length === calls);
  });

  it("frees its hosts as soon as the store has paused it, not with the next release", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    const batches = [0, 0, 1];
    store.addRequest([[{ role: "A", hosts: [1, 2, 3], batches }]], { rolling: { maxFailures: 0 } });
    const newer = store.addRequest([[{ role: "C", hosts: [3] }]]);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the first batch", () => d.taskIds.length === 2);
    await stays("the newer waits", 100, () => store.statuses(newer)[0] === "PENDING");
    d.tell(store.report(1n, FAILED));
    await world.statuses(newer, "QUEUED");
  });

  it("goes on at once when it is resumed, however often the store had to tell that it is paused", async (t) => {
    const { d, store, engine, id } = await start(t, { canary: 1, maxFailures: 9 });
    const standing = {
      ...{ run: 1, stopping: false, cancelRequested: false, reason: "" },
      ...{ paused: true, pauseReason: "" },
    };
    for (const [ended, sent] of [
      [[1n], 3],
      [[2n, 3n], 4],
    ] as const) {
      store.stored(id).request.paused = true;
      const calls = store.recorded.length;
      for (const task of ended) d.tell(store.report(task, SUCCEEDED));
      await eventually("it has asked", () => store.recorded.length > calls);
      await stays("nothing is sent", 50, () => d.taskIds.length < sent);
      const signal = AbortSignal.timeout(5_000);
      await engine.pauseRequest(id, { standing, paused: false, reason: "" }, signal);
      await eventually("the next batch", () => d.taskIds.length === sent);
    }
  });

  it("is aborted instead when it says so", async (t) => {
    const onExceeded = OnExceeded.ABORT;
    const { d, store, world, id } = await start(t, { canary: 1, maxFailures: 0, onExceeded });
    d.tell(store.report(1n, FAILED));
    await world.statuses(id, "FAILED", "ABORTED", "ABORTED", "ABORTED");
  });
});
