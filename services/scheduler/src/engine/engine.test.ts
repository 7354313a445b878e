import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "../testing/eventually.js";
import { sameCall } from "../testing/fake-requests.js";
import { World } from "../testing/world.js";

// Long enough that no reconcile and no resend hides what an event should have done.
const never = 60_000;
const { STARTED, SUCCEEDED, FAILED } = TaskEvent;

describe("releasing", () => {
  it("releases a stage when the one before is done, and tells each command once", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1, 2] }], [{ role: "B", hosts: [1] }]]);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the first stage", () => d.taskIds.length === 2);
    d.tell(store.report(1n, STARTED), store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "QUEUED", "PENDING");
    d.tell(store.report(2n, STARTED), store.report(2n, SUCCEEDED));
    await eventually("the second stage", () => d.taskIds.length === 3);
    assert.deepEqual(d.taskIds, [1, 2, 3]);
    assert.deepEqual(d.repeats, []);
    assert.equal(d.enqueued[2]?.epoch, 1n);
  });

  it("finds by itself what no hint told", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [1] }]]);
    await world.scheduler();
    await eventually("the first", () => d.taskIds.length === 1);
    world.store.report(1n, STARTED);
    world.store.report(1n, SUCCEEDED);
    await eventually("the second", () => d.taskIds.length === 2);
    world.store.report(2n, SUCCEEDED);
    await world.statuses(id, "COMPLETED", "COMPLETED");
  });

  it("takes hints twice and in any order", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    world.store.addRequest([[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [1] }]]);
    const { engine } = await world.scheduler(1n, { reconcileMs: never });
    await eventually("the first", () => d.taskIds.length === 1);
    const started = world.store.report(1n, STARTED);
    const done = world.store.report(1n, SUCCEEDED);
    d.tell(done, done);
    d.tell(started);
    await eventually("the second", () => d.taskIds.length === 2);
    d.tell(started, world.store.report(2n, SUCCEEDED));
    await eventually("it is over", () => engine.size === 0);
    assert.deepEqual([d.taskIds, d.repeats], [[1, 2], []]);
  });

  it("says the same again when the answer was lost, and hands the command over once", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    world.store.loseAnswers = 2;
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the command", () => d.taskIds.length === 1);
    const { recorded } = world.store;
    assert.equal(recorded.length, 3);
    assert.ok(sameCall(recorded[0], recorded[1]) && sameCall(recorded[1], recorded[2]));
    await world.statuses(id, "QUEUED");
    await stays("handed over once", 50, () => d.taskIds.length === 1 && !d.repeats.length);
  });

  it("takes a refused command back and releases it to the session that the host has then", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    const [a, b] = [await world.dispatcher("dispatcher/a"), await world.dispatcher("dispatcher/b")];
    a.open(1, 1);
    const id = store.addRequest([[{ role: "A", hosts: [1] }]]);
    a.refuse = () => true;
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is taken back", () =>
      store.recorded.some(({ requests }) =>
        requests.some(({ transitions }) =>
          transitions.some(
            (one) => one.event === TaskEvent.NEVER_STARTED && one.sessionEpoch === 1n,
          ),
        ),
      ),
    );
    await world.statuses(id, "PENDING");
    const calls = store.recorded.length;
    await stays("no loop of refusals", 200, () => store.recorded.length === calls);
    a.close(1);
    b.open(1, 2);
    await eventually("it is released again", () => b.taskIds.length === 1);
    assert.equal(b.enqueued[0]?.epoch, 2n);
    assert.equal(b.enqueued[0]?.command.attempt, 1);
  });

  it("does not lose a host for good when its dispatcher refused once and keeps the session", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    let refusals = 0;
    d.refuse = () => refusals++ === 0;
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is released again", () => d.taskIds.length === 1);
  });

  it("sorts it out when the session moves between the release and the hand-over", async (t) => {
    const world = await World.start(t);
    const [a, b] = [await world.dispatcher("dispatcher/a"), await world.dispatcher("dispatcher/b")];
    a.open(1, 1);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    let commit = () => {};
    world.store.hold = new Promise((resolve) => {
      commit = resolve;
    });
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the release", () => world.store.recorded.length === 1);
    b.open(1, 2);
    await eventually("b is watched", () => b.watched);
    a.close(1);
    await stays("it waits", 50, () => world.store.statuses(id)[0] === "PENDING");
    world.store.hold = undefined;
    commit();
    await eventually("it gets to b", () => b.taskIds.length === 1);
    assert.deepEqual([a.taskIds, b.enqueued[0]?.epoch], [[], 2n]);
  });

  it("sends again what an idle host says nothing about, not what waits behind another", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    world.store.addRequest([
      [
        { role: "A", hosts: [1, 2] },
        { role: "B", hosts: [2] },
      ],
    ]);
    await world.scheduler(1n, { resendMs: 80, reconcileMs: never });
    await eventually("all are sent", () => d.taskIds.length === 3);
    d.tell(world.store.report(2n, STARTED));
    await eventually(
      "1 is sent again, twice",
      () => d.repeats.filter((id) => id === 1n).length > 1,
    );
    const repeats = d.repeats.filter((id) => id === 3n).length;
    await stays("3 waits", 200, () => d.repeats.filter((id) => id === 3n).length === repeats);
  });

  it("drives more than a thousand tasks, in batches", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    const hosts = Array.from({ length: 1_300 }, (_, at) => at + 1);
    for (const host of hosts) d.open(host, 1);
    world.doAll(d);
    const id = world.store.addRequest([[{ role: "A", hosts }], [{ role: "B", hosts }]]);
    const { engine } = await world.scheduler();
    await eventually("all is done", () => world.store.count(id, Status.COMPLETED) === 2_600);
    await eventually("it is forgotten", () => engine.size === 0);
    assert.equal(d.taskIds.length, 2_600);
    const sizes = world.store.recorded.map(({ requests }) =>
      requests.reduce((sum, { transitions }) => sum + transitions.length, 0),
    );
    assert.ok(Math.max(...sizes) <= 1_000, `the largest call has ${Math.max(...sizes)}`);
  });

  it("divides a call whose answer is more than a message holds", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    const hosts = Array.from({ length: 600 }, (_, at) => at + 1);
    for (const host of hosts) d.open(host, 1);
    world.store.padding = 20_000;
    world.store.addRequest([[{ role: "A", hosts }]]);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("all are sent", () => d.taskIds.length === 600);
  });

  it("lets a host do the older request first, whichever it learns of first", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    for (const host of [1, 2]) d.open(host, 1);
    const older = world.store.addRequest([
      [{ role: "A", hosts: [1] }],
      [{ role: "A", hosts: [1] }],
    ]);
    const newer = world.store.addRequest([[{ role: "B", hosts: [1, 2] }]]);
    await world.scheduler();
    await eventually("the free host", () => d.taskIds.includes(4));
    await eventually("the older one", () => d.taskIds.includes(1));
    d.tell(world.store.report(1n, SUCCEEDED));
    await eventually("its second stage", () => d.taskIds.includes(2));
    await world.statuses(newer, "PENDING", "QUEUED");
    d.tell(world.store.report(2n, SUCCEEDED));
    await eventually("the newer one", () => d.taskIds.includes(3));
    await world.statuses(older, "COMPLETED", "COMPLETED");
  });

  it("goes on when the store was away for a while", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [1] }]]);
    await world.scheduler();
    await eventually("the first", () => d.taskIds.length === 1);
    const done = world.store.report(1n, SUCCEEDED);
    world.store.down = true;
    d.tell(done);
    const calls = world.store.recorded.length;
    await eventually("it tries", () => world.store.recorded.length >= calls + 2);
    world.store.down = false;
    await eventually("the second", () => d.taskIds.length === 2);
    world.store.report(2n, SUCCEEDED);
    await world.statuses(id, "COMPLETED", "COMPLETED");
  });

  it("takes up a request that turns unfinished again", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    const { engine } = await world.scheduler();
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(world.store.report(1n, FAILED));
    await eventually("it is over", () => !engine.drives(id));
    world.store.report(1n, TaskEvent.RETRIED);
    await eventually("it is sent again", () => d.taskIds.length === 2);
    assert.equal(d.enqueued[1]?.command.attempt, 2);
  });

  it("asks anew for what was skipped, and not in a hot loop when it is skipped for ever", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    let skipped = 0;
    world.store.skip = () => {
      skipped += 1;
      return true;
    };
    await world.scheduler(1n, { reconcileMs: 100 });
    await eventually("it is asked again", () => skipped >= 3);
    const from = skipped;
    await stays("one ask a pass", 500, () => skipped - from < 10);
    world.store.skip = () => false;
    await eventually("it is sent", () => d.taskIds.length === 1);
  });

  it("learns from a skip that another scheduler has stopped the request", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    const id = world.store.addRequest([[{ role: "A", hosts: [1, 2] }]]);
    const { engine } = await world.scheduler(1n, { reconcileMs: 100 });
    await eventually("it is driven", () => engine.drives(id));
    world.store.stored(id).request.cancelRequested = true;
    d.open(1, 1);
    await world.statuses(id, "ABORTED", "ABORTED");
  });
});

describe("dispatchers", () => {
  it("hands over again when the connection broke before the answer", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    d.loseAnswers = 1;
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("it is told again", () => d.enqueueCalls === 2);
    assert.deepEqual([d.taskIds, d.repeats], [[1], [1n]]);
    await world.statuses(id, "QUEUED");
  });

  it("takes hosts for away when their dispatcher's lease is gone", async (t) => {
    const world = await World.start(t);
    const [a, b] = [await world.dispatcher("dispatcher/a"), await world.dispatcher("dispatcher/b")];
    a.open(1, 1);
    await world.scheduler(1n, { reconcileMs: 50 });
    await eventually("a is watched", () => a.watched);
    a.leave();
    await eventually("a is left", () => !a.watched);
    const id = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    await stays("nothing is released to nowhere", 200, () => world.store.recorded.length === 0);
    b.open(1, 2);
    await world.statuses(id, "QUEUED");
    await eventually("it gets to b", () => b.taskIds.length === 1);
  });

  it("announces its token to each before it releases, but waits no longer than a lease for one that is dead", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher("dispatcher/a");
    const dead = await world.dispatcher("dispatcher/b");
    dead.down = true;
    dead.lease(world.store.leases.rows.get("dispatcher/b")?.address ?? "", 400);
    d.open(1, 1);
    world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    const from = performance.now();
    await world.scheduler(7n, { reconcileMs: never });
    await eventually("it is announced", () => d.tokens.includes(7n));
    assert.equal(world.store.recorded.length, 0);
    await eventually("it is released", () => d.taskIds.length === 1);
    assert.ok(performance.now() - from >= 395, "the dead one's lease was not waited out");
  });
});
