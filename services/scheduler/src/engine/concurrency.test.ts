import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { TaskStatus } from "@howdah/state/statuses";
import { eventually, stays } from "../testing/eventually.js";
import { change, ids, type Place, role, run } from "../testing/runs.js";
import { World } from "../testing/world.js";
import { HostQueues } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";
import { Turns } from "./turns.js";

const never = 60_000;
const { SUCCEEDED, FAILED } = TaskEvent;
const { PARALLEL, EXCLUSIVE } = Concurrency;
const one = (...hosts: number[]) => [[{ role: "A", hosts }]];

/** A scheduler with a dispatcher that has the sessions of three hosts. */
async function startWorld(t: Parameters<typeof World.start>[0], options: object = {}) {
  const world = await World.start(t);
  const d = await world.dispatcher();
  for (const host of [1, 2, 3]) d.open(host, 1);
  const { store } = world;
  const drive = () => world.scheduler(1n, { reconcileMs: never, ...options });
  return { world, d, store, drive };
}

describe("PARALLEL", () => {
  it("runs beside older requests and holds up no newer one", async (t) => {
    const { d, store, drive } = await startWorld(t);
    store.addRequest(one(1, 2));
    store.addRequest(one(1), { concurrency: PARALLEL });
    store.addRequest(one(1));
    await drive();
    await eventually("the older and the one beside", () => d.taskIds.length === 3);
    assert.deepEqual([...d.taskIds].sort(), [1, 2, 3]);
    d.tell(store.report(1n, SUCCEEDED));
    await eventually("the newer", () => d.taskIds.includes(4));
  });

  it("takes none of the host's room for others", () => {
    const places: Place[] = Array.from({ length: 5 }, (_, at) => [at + 1, 0, 0, 1]);
    const queues = new HostQueues();
    queues.opened(1n, { dispatcher: "d", epoch: 1n });
    const statuses = {
      1: Status.QUEUED,
      2: Status.QUEUED,
      3: Status.QUEUED,
      4: Status.QUEUED,
    } as const;
    queues.addRun(run({ places, statuses, concurrency: PARALLEL }));
    assert.deepEqual(ids(queues.next(1n)), []);
    queues.addRun(run({ places, requestId: 2n }));
    assert.deepEqual(ids(queues.next(1n)), [1, 2, 3, 4]);
    assert.equal(queues.isBusy(1n), false);
  });
});

describe("a background command of a request in order", () => {
  const { COMPLETED, IN_PROGRESS } = Status;
  // On host 1: A, in order, and B, in the background.
  const places: Place[] = [
    [1, 0, 0, 1],
    [2, 0, 1, 1],
  ];
  const stages = [[role("A"), role("B", { background: true })]];
  const start = () => {
    const queues = new HostQueues();
    queues.opened(1n, { dispatcher: "d", epoch: 1n });
    return queues;
  };
  const apply = (queues: HostQueues, target: RequestRun, id: number, status: TaskStatus) => {
    const applied = change(target, id, status);
    assert.ok(applied);
    queues.changed(target, applied.task, applied.before);
  };

  it("waits for no older request, and no newer one for it", () => {
    const queues = start();
    const [older, mixed, newer] = [
      run({ places: [[9, 0, 0, 1]] }),
      run({ places, stages, requestId: 2n }),
      run({ places: [[5, 0, 0, 1]], requestId: 3n }),
    ];
    for (const each of [older, mixed, newer]) queues.addRun(each);
    assert.deepEqual(ids(queues.next(1n)), [9, 2]);
    apply(queues, older, 9, IN_PROGRESS);
    apply(queues, older, 9, COMPLETED);
    apply(queues, mixed, 2, IN_PROGRESS);
    assert.equal(queues.isBusy(1n), false);
    assert.deepEqual(ids(queues.next(1n)), [1]);
    apply(queues, mixed, 1, IN_PROGRESS);
    assert.equal(queues.isBusy(1n), true);
    apply(queues, mixed, 1, COMPLETED);
    assert.equal(mixed.over, false);
    assert.deepEqual(ids(queues.next(1n)), [5]);
    apply(queues, mixed, 2, COMPLETED);
    assert.equal(mixed.over, true);
  });

  it("takes none of the host's room for others, and is counted again after a take-over", () => {
    const queues = start();
    const many: Place[] = Array.from({ length: 5 }, (_, at) => [at + 1, 0, 1, 1]);
    const statuses = { 1: Status.QUEUED, 2: Status.QUEUED, 3: IN_PROGRESS } as const;
    queues.addRun(run({ places: many, stages, statuses }));
    queues.addRun(run({ places: [[9, 0, 0, 1]], requestId: 2n }));
    assert.deepEqual(ids(queues.next(1n)), [9, 4, 5]);
  });

  it("is known as such when its request is read from the store", async (t) => {
    const { d, store, world } = await startWorld(t);
    store.addRequest([[{ role: "A", hosts: [1] }]]);
    store.addRequest([[{ role: "B", hosts: [1], background: true }]]);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("both", () => d.taskIds.length === 2);
  });
});

describe("EXCLUSIVE", () => {
  it("lets older requests end, runs alone, and lets newer ones wait", async (t) => {
    const { d, store, world, drive } = await startWorld(t);
    const older = store.addRequest(one(1));
    const alone = store.addRequest(one(2), { concurrency: EXCLUSIVE });
    const newer = store.addRequest(one(3), { concurrency: PARALLEL });
    await drive();
    await eventually("the older one", () => d.taskIds.length === 1);
    await world.statuses(older, "QUEUED");
    await stays("the others wait", 150, () => d.taskIds.length === 1);
    d.tell(store.report(1n, SUCCEEDED));
    await eventually("the exclusive one", () => d.taskIds.length === 2);
    await world.statuses(alone, "QUEUED");
    await stays("the newer waits", 150, () => d.taskIds.length === 2);
    d.tell(store.report(2n, SUCCEEDED));
    await world.statuses(newer, "QUEUED");
  });

  it("keeps nobody waiting while it is paused or held", async (t) => {
    const { d, store, world, drive } = await startWorld(t);
    const alone = store.addRequest(one(2), { concurrency: EXCLUSIVE });
    const newer = store.addRequest(one(3));
    store.stored(alone).request.paused = true;
    await drive();
    await world.statuses(newer, "QUEUED");
    await eventually("it is sent", () => d.taskIds.includes(2));
    assert.equal(store.statuses(alone)[0], "PENDING");
  });

  it("waits after its own pause until what began meanwhile has ended", async (t) => {
    const { d, store, world, drive } = await startWorld(t);
    const alone = store.addRequest(one(2), { concurrency: EXCLUSIVE });
    store.addRequest(one(3));
    store.stored(alone).request.paused = true;
    const { engine } = await drive();
    await eventually("the newer", () => d.taskIds.length === 1);
    const standing = {
      ...{ run: 1, stopping: false, cancelRequested: false, reason: "" },
      ...{ paused: true, pauseReason: "" },
    };
    const signal = AbortSignal.timeout(5_000);
    await engine.pauseRequest(alone, { standing, paused: false, reason: "" }, signal);
    await stays("it waits", 150, () => d.taskIds.length === 1);
    d.tell(store.report(2n, SUCCEEDED));
    await world.statuses(alone, "QUEUED");
  });
});

describe("caps", () => {
  it("keeps a request below its own", async (t) => {
    const { d, store, drive } = await startWorld(t);
    store.addRequest(one(1, 2, 3), { maxInFlight: 2 });
    await drive();
    await eventually("two", () => d.taskIds.length === 2);
    await stays("no third", 150, () => d.taskIds.length === 2);
    d.tell(store.report(BigInt(d.taskIds[0] ?? 0), FAILED));
    await stays("a failure ends it", 100, () => d.taskIds.length === 2);
  });

  it("gives room to the next when one ends", async (t) => {
    const { d, store, world, drive } = await startWorld(t);
    const id = store.addRequest(one(1, 2, 3), { maxInFlight: 1 });
    world.doAll(d);
    let most = 0;
    const onCommand = d.onCommand;
    d.onCommand = (command) => {
      most = Math.max(most, store.count(id, Status.QUEUED));
      onCommand(command);
    };
    await drive();
    await world.statuses(id, "COMPLETED", "COMPLETED", "COMPLETED");
    assert.equal(most, 1);
  });

  it("keeps all requests below the system's, and shares it fairly", async (t) => {
    const { d, store, world, drive } = await startWorld(t, { maxInFlight: 2 });
    const hosts = Array.from({ length: 20 }, (_, at) => at + 10);
    for (const host of hosts) d.open(host, 1);
    const large = store.addRequest(one(...hosts));
    const small = store.addRequest(one(1, 2));
    await drive();
    await eventually("two", () => d.taskIds.length === 2);
    await stays("no more", 100, () => d.taskIds.length === 2);
    assert.equal(store.count(large, Status.QUEUED), 1);
    assert.equal(store.count(small, Status.QUEUED), 1);
    for (const id of [...d.taskIds]) d.tell(store.report(BigInt(id), SUCCEEDED));
    await eventually("two more", () => d.taskIds.length === 4);
    assert.equal(store.count(small, Status.COMPLETED) + store.count(small, Status.QUEUED), 2);
    await world.statuses(small, "COMPLETED", "QUEUED");
  });
});

describe("Turns", () => {
  it("takes a host of each request in turn, and remembers whose turn is next", () => {
    const [a, b] = [run(), run({ requestId: 2n })];
    const turns = new Turns();
    for (const host of [1n, 2n, 3n]) turns.offer(a, host);
    turns.offer(b, 9n);
    const taken: bigint[] = [];
    let room = 2;
    for (const { hostId } of turns.take(() => room > 0)) {
      taken.push(hostId);
      room -= 1;
    }
    assert.deepEqual(taken, [1n, 9n]);
    room = 9;
    for (const { hostId } of turns.take((each) => each === b || room > 0)) {
      taken.push(hostId);
      room -= 1;
    }
    assert.deepEqual(taken, [1n, 9n, 2n, 3n]);
  });

  it("ends when those that are left have no room", () => {
    const turns = new Turns();
    turns.offer(run(), 1n);
    assert.deepEqual([...turns.take(() => false)], []);
    assert.equal([...turns.take(() => true)].length, 1);
  });
});
