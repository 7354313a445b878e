import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Guarantee, RetryCause } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "../testing/eventually.js";
import { change, ids, role, run } from "../testing/runs.js";
import { World } from "../testing/world.js";

// Long enough that no reconcile and no resend hides what an event should have done.
const never = 60_000;
const { FAILED, INTERRUPTED } = TaskEvent;

describe("back-off", () => {
  const backoff = { firstMs: 1_000, longestMs: 5_000 };
  const stages = [[role("A", { backoff })]];
  const places: [number, number, number, number][] = [
    [1, 0, 0, 1],
    [2, 0, 0, 1],
  ];

  it("keeps a further attempt back until it is over, and nothing else", () => {
    const target = run({ stages, places });
    change(target, 1, Status.QUEUED);
    change(target, 1, Status.PENDING, { attempt: 2 });
    assert.deepEqual(ids(target.releasable(1n)), [2]);
    const task = target.task(1n);
    assert.ok(task?.backingOff);
    target.backedOff(task);
    assert.deepEqual(ids(target.releasable(1n)), [1, 2]);
  });

  it("doubles up to the longest", () => {
    const target = run({ stages, places });
    const pauses = [1, 2, 3, 4, 5].map((attempt) => {
      change(target, 1, Status.PENDING, { attempt });
      const task = target.task(1n);
      return task && target.backoffMs(task);
    });
    assert.deepEqual(pauses, [0, 1_000, 2_000, 4_000, 5_000]);
  });

  it("does not come before an attempt that goes back unstarted", () => {
    const target = run({ stages, places, statuses: { 1: Status.QUEUED }, attempts: { 1: 2 } });
    change(target, 1, Status.PENDING, { attempt: 2 });
    assert.deepEqual(ids(target.releasable(1n)), [1, 2]);
  });

  it("is counted anew after a take-over", () => {
    const target = run({ stages, places, attempts: { 1: 3 } });
    assert.deepEqual(ids(target.releasable(1n)), [2]);
    assert.ok(target.task(1n)?.backingOff);
  });
});

describe("retrying by itself", () => {
  const stages = [[{ role: "A", hosts: [1] }]];
  const backoff = { nanos: 150_000_000 };

  it("sends a failed task again after its back-off, as often as is allowed", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest(stages, { retry: { maxAttempts: 3, backoff } });
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the first", () => d.taskIds.length === 1);
    const from = performance.now();
    d.tell(world.store.report(1n, FAILED));
    await eventually("the second", () => d.taskIds.length === 2);
    const waited = performance.now() - from;
    assert.ok(waited >= 149, `the back-off took ${waited} ms`);
    d.tell(world.store.report(1n, FAILED));
    await eventually("the third", () => d.taskIds.length === 3);
    d.tell(world.store.report(1n, FAILED));
    await world.statuses(id, "FAILED");
    assert.deepEqual(
      d.enqueued.map(({ command }) => command.attempt),
      [1, 2, 3],
    );
  });

  it("retries one role and not another, by their names", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    const roles = [
      { role: "A", hosts: [1] },
      { role: "B", hosts: [2] },
    ];
    const roleRetries = { "A-START": { maxAttempts: 2, backoff }, A: { maxAttempts: 1 } };
    const id = world.store.addRequest([roles], { roleRetries });
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("both", () => d.taskIds.length === 2);
    d.tell(world.store.report(1n, FAILED));
    await eventually("A again", () => d.taskIds.length === 3);
    d.tell(world.store.report(1n, TaskEvent.SUCCEEDED), world.store.report(2n, FAILED));
    await world.statuses(id, "COMPLETED", "FAILED");
  });

  it("tries what was interrupted again with AT_LEAST_ONCE only, or when it is named", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    const one = (host: number) => [[{ role: "A", hosts: [host] }]];
    const named = { maxAttempts: 2, backoff, causes: [RetryCause.INTERRUPTED] };
    const once = world.store.addRequest(one(1), { retry: { maxAttempts: 2, backoff } });
    const least = world.store.addRequest(one(2), {
      guarantee: Guarantee.AT_LEAST_ONCE,
      retry: { backoff },
    });
    world.store.addRequest(one(3), { retry: named });
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("all", () => d.taskIds.length === 3);
    for (const id of [1n, 2n, 3n]) d.tell(world.store.report(id, INTERRUPTED));
    await eventually("two again", () => d.taskIds.length === 5);
    assert.deepEqual(d.taskIds.slice(3).sort(), [2, 3]);
    await world.statuses(once, "FAILED");
    await world.statuses(least, "QUEUED");
  });

  it("gives up what waits for its back-off when the request is cancelled", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const retry = { maxAttempts: 3, backoff: { seconds: 60n } };
    const id = world.store.addRequest(stages, { retry });
    const { engine } = await world.scheduler(1n, { reconcileMs: never });
    await eventually("the first", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, FAILED));
    await world.statuses(id, "PENDING");
    await stays("it waits", 100, () => d.taskIds.length === 1);
    await engine.cancelRequest(id, "enough", AbortSignal.timeout(5_000));
    await world.statuses(id, "ABORTED");
  });
});
