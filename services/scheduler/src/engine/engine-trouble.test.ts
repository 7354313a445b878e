import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "../testing/eventually.js";
import { World } from "../testing/world.js";

// Long enough that no reconcile and no resend hides what an event should have done.
const never = 60_000;
const { STARTED, SUCCEEDED, FAILED } = TaskEvent;

describe("deadlines", () => {
  const short = { deadlineGraceMs: 50, reconcileMs: never };
  const stages = [[{ role: "A", hosts: [1], timeoutMs: 50 }]];

  it("calls a running task UNKNOWN when its host is away and its time is up", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest(stages);
    await world.scheduler(1n, short);
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, STARTED));
    d.close(1);
    await world.statuses(id, "UNKNOWN");
  });

  it("gives a command that its agent tries again in place the time for that", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest([
      [{ role: "A", hosts: [1], timeoutMs: 50, retryMs: 600_000 }],
    ]);
    await world.scheduler(1n, short);
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, STARTED));
    d.close(1);
    await stays("it runs", 350, () => world.store.statuses(id)[0] === "IN_PROGRESS");
  });

  it("waits for a host that is connected: its agent enforces the time-out", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest(stages);
    await world.scheduler(1n, short);
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, STARTED));
    await stays("it runs", 350, () => world.store.statuses(id)[0] === "IN_PROGRESS");
  });
});

describe("a cancel of what is on a host that is away", () => {
  for (const status of ["QUEUED", "IN_PROGRESS"] as const) {
    it(`makes it UNKNOWN after a while, rather than at its deadline: ${status}`, async (t) => {
      const world = await World.start(t);
      const d = await world.dispatcher();
      d.open(1, 1);
      const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
      const { engine } = await world.scheduler(1n, { resendMs: 100, reconcileMs: never });
      await eventually("it is sent", () => d.taskIds.length === 1);
      if (status === "IN_PROGRESS") d.tell(world.store.report(1n, STARTED));
      await world.statuses(id, status);
      d.close(1);
      await engine.cancelRequest(id, "enough", t.signal);
      await world.statuses(id, "UNKNOWN");
    });
  }

  it("waits for the answer of a host that is there", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    const { engine } = await world.scheduler(1n, { resendMs: 50, reconcileMs: never });
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, STARTED));
    await world.statuses(id, "IN_PROGRESS");
    await engine.cancelRequest(id, "enough", t.signal);
    await stays("it is stopping", 250, () => world.store.statuses(id)[0] === "IN_PROGRESS");
  });
});

describe("failing and cancelling", () => {
  it("marks the abort, gives up what waits, cancels the rest only when the failed role has ended", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, 1);
    const id = store.addRequest([
      [
        { role: "A", hosts: [1, 2] },
        { role: "B", hosts: [3] },
      ],
      [{ role: "C", hosts: [1] }],
    ]);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the stage", () => d.taskIds.length === 3);
    for (const task of [1n, 2n, 3n]) d.tell(store.report(task, STARTED));
    d.tell(store.report(1n, FAILED));
    await world.statuses(id, "FAILED", "IN_PROGRESS", "IN_PROGRESS", "ABORTED");
    assert.match(store.stored(id).request.abortReason, /stage 1: A failed on 1 host/);
    await stays("nothing is cancelled", 100, () => d.cancels.length === 0);
    d.tell(store.report(2n, SUCCEEDED));
    await eventually("B is cancelled", () => d.cancels.length === 1);
    assert.equal(d.cancels[0]?.taskId, 3n);
    assert.match(d.cancels[0]?.reason ?? "", /A failed/);
  });

  it("goes on after a failure when the request says CONTINUE", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const roles = [[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [1] }]];
    world.store.addRequest(roles, { onFailure: OnFailure.CONTINUE });
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the first", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, FAILED));
    await eventually("the second", () => d.taskIds.length === 2);
  });

  it("answers a cancel when it is committed, not before", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1, 2] }]]);
    const { engine } = await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is sent", () => d.taskIds.length === 1);
    store.down = true;
    let answered = false;
    const cancelled = engine.cancelRequest(id, "enough", AbortSignal.timeout(10_000)).then(() => {
      answered = true;
    });
    await stays("it waits for the store", 300, () => !answered);
    store.down = false;
    await cancelled;
    const { request } = store.stored(id);
    assert.deepEqual([request.cancelRequested, request.abortReason], [true, "enough"]);
    await world.statuses(id, "QUEUED", "ABORTED");
    await eventually("the agent is told", () => d.cancels.length === 1);
    assert.equal(d.cancels[0]?.reason, "enough");
  });

  it("commits a cancel that comes while something else is being recorded", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1, 2] }]]);
    let commit = () => {};
    store.hold = new Promise((resolve) => {
      commit = resolve;
    });
    const { engine } = await world.scheduler(1n, { reconcileMs: never });
    await eventually("the release", () => store.recorded.length === 1);
    const cancelled = engine.cancelRequest(id, "enough", AbortSignal.timeout(10_000));
    store.hold = undefined;
    commit();
    await cancelled;
    assert.equal(store.stored(id).request.cancelRequested, true);
  });

  it("keeps a cancel over a change of schedulers, and tells it again", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    const first = await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(store.report(1n, STARTED));
    await first.engine.cancelRequest(id, "enough", AbortSignal.timeout(10_000));
    await eventually("the agent is told", () => d.cancels.length === 1);
    await first.stop();
    const next = await world.scheduler(2n, { reconcileMs: never });
    await eventually("it is told again", () => d.cancels.length === 2);
    assert.equal(d.cancels[1]?.reason, "enough");
    d.tell(store.report(1n, TaskEvent.CANCELLED));
    await eventually("it is over", () => !next.engine.drives(id));
    assert.deepEqual(store.statuses(id), ["ABORTED"]);
  });

  it("tells a cancel again when the dispatcher was out of reach", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    const { engine } = await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.down = true;
    d.cut();
    await eventually("it is not watched", () => !d.watched);
    await engine.cancelRequest(id, "enough", AbortSignal.timeout(10_000));
    await eventually("it is recorded", () => store.taskOf(1n).cancelRequested);
    d.down = false;
    await eventually("the agent is told", () => d.cancels.length === 1);
  });
});

describe("changing schedulers", () => {
  it("hands over what its predecessor released and did not hand over", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    store.loseAnswers = Number.POSITIVE_INFINITY;
    const first = await world.scheduler(1n);
    await world.statuses(id, "QUEUED");
    await first.stop();
    assert.equal(await first.ended, undefined);
    assert.deepEqual(d.taskIds, []);
    store.loseAnswers = 0;
    await world.scheduler(2n, { reconcileMs: never });
    await eventually("it is handed over", () => d.taskIds.length === 1);
  });

  it("ends an aborted request of its predecessor, of which nobody wrote down why", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [1] }]]);
    store.stored(id).request.aborted = true;
    const { engine } = await world.scheduler(2n, { reconcileMs: never });
    await world.statuses(id, "ABORTED", "ABORTED");
    await eventually("it is over", () => !engine.drives(id));
    assert.deepEqual(d.taskIds, []);
  });

  it("stops when another scheduler owns a request", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    const { engine, ended } = await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is driven", () => engine.drives(id));
    world.store.stored(id).ownerToken = 2n;
    d.open(1, 1);
    assert.match(String(await ended), /StaleOwnerError: another scheduler owns request 1/);
    await assert.rejects(
      engine.cancelRequest(id, "enough", AbortSignal.timeout(10_000)),
      /does not lead any more/,
    );
    assert.deepEqual(d.taskIds, []);
  });

  it("starts once the store is back, and releases nothing before all is taken over", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    d.open(1, 1);
    store.addRequest([[{ role: "A", hosts: [1] }]]);
    store.addRequest([[{ role: "B", hosts: [1] }]]);
    store.down = true;
    let read = () => {};
    const older = new Promise<void>((resolve) => {
      read = resolve;
    });
    store.beforeTasks = (requestId) => (requestId === 1n ? older : undefined);
    const { engine } = await world.scheduler(1n, { reconcileMs: never });
    await stays("it waits for the store", 100, () => engine.size === 0);
    store.down = false;
    await eventually("the newer one", () => engine.size === 1);
    await stays("it waits for the older one", 100, () => d.taskIds.length === 0);
    read();
    await eventually("the older one is sent", () => d.taskIds.length === 1);
    assert.deepEqual(d.taskIds, [1]);
  });

  it("drives the others when one request cannot be read", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    store.addRequest([[{ role: "A", hosts: [1] }]]);
    store.addRequest([[{ role: "B", hosts: [2] }]]);
    store.beforeTasks = (requestId) => {
      if (requestId === 1n) throw new Error("a bug");
      return undefined;
    };
    await world.scheduler(1n);
    await eventually("the other one", () => d.taskIds.length === 1);
    store.beforeTasks = () => undefined;
    await eventually("the first one", () => d.taskIds.length === 2);
  });
});
