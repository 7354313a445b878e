import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { HostSchema, HostState } from "@howdah/proto/howdah/v1/fleet";
import { OfflinePolicy } from "@howdah/proto/howdah/v1/operation";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { LeadOptions } from "../lead.js";
import { eventually, stays } from "../testing/eventually.js";
import type { FakeStore } from "../testing/fake-store.js";
import { World } from "../testing/world.js";

// Long enough that no reconcile hides what an event should have done.
const never = 60_000;
const { SUCCEEDED } = TaskEvent;
const wait = { offlinePolicy: OfflinePolicy.WAIT };
const waitMs = (ms: number) => ({
  ...wait,
  offlineExpiry: durationFromMs(ms),
});

/** A scheduler with a dispatcher that has the sessions of these hosts. */
async function start(t: Parameters<typeof World.start>[0], hosts: number[]) {
  const world = await World.start(t);
  const d = await world.dispatcher();
  for (const host of hosts) d.open(host, 1);
  const { store } = world;
  const drive = (options: Partial<LeadOptions> = {}, token = 1n) =>
    world.scheduler(token, { reconcileMs: never, lostAfterMs: 50, ...options });
  return { world, d, store, drive };
}

const connectedHost = (id: number) => {
  const name = { hostId: BigInt(id), hostName: `host${id}` };
  return create(HostSchema, { ...name, sessionEpoch: 1n, state: HostState.HEALTHY });
};

const reasons = (store: FakeStore) =>
  store.recorded
    .flatMap(({ requests }) => requests.flatMap(({ transitions }) => transitions))
    .flatMap(({ event, reason }) => (event === TaskEvent.GIVEN_UP ? [reason] : []));

describe("offline_expiry", () => {
  it("gives up the tasks of hosts that are away; the rest goes on as the factor allows", async (t) => {
    const { world, d, store, drive } = await start(t, [1]);
    const stages = [
      [{ role: "A", hosts: [1, 2], factor: 0.5 }],
      [{ role: "B", hosts: [1, 2], factor: 0.5 }],
    ];
    const id = store.addRequest(stages, waitMs(200));
    await drive();
    await eventually("the host that is there", () => d.taskIds.length === 1);
    d.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "ABORTED", "QUEUED", "ABORTED");
    const reason = "host host2 was away when options.offline_expiry (200ms) ran out";
    assert.deepEqual(reasons(store), [reason, reason]);
    d.tell(store.report(3n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "ABORTED", "COMPLETED", "ABORTED");
  });

  it("fails the request where the factor asks for all", async (t) => {
    const { world, store, drive } = await start(t, []);
    const id = store.addRequest(
      [[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [2] }]],
      waitMs(100),
    );
    await drive();
    await world.statuses(id, "ABORTED", "ABORTED");
    assert.match(reasons(store)[0] ?? "", /host1 was away/);
  });

  it("runs what is back in time, and waits for ever without it", async (t) => {
    const { d, store, drive } = await start(t, []);
    store.addRequest([[{ role: "A", hosts: [1] }]], waitMs(400));
    const without = store.addRequest([[{ role: "A", hosts: [2] }]], wait);
    await drive();
    await stays("it waits", 200, () => store.recorded.length === 0);
    d.open(1, 1);
    await eventually("it runs", () => d.taskIds.length === 1);
    await stays("the other one waits", 400, () => store.statuses(without)[0] === "PENDING");
    assert.deepEqual(reasons(store), []);
  });

  it("goes by the request's age after a take-over, and gives hosts time to be heard of", async (t) => {
    const { world, d, store, drive } = await start(t, [1]);
    const id = store.addRequest([[{ role: "A", hosts: [1, 2], factor: 0.5 }]], waitMs(30_000));
    store.stored(id).request.ageMs = 20_000n;
    const first = await drive();
    await stays("it waits", 50, () => reasons(store).length === 0);
    await first.stop();
    store.stored(id).request.ageMs = 40_000n;
    const begin = performance.now();
    await drive({ lostAfterMs: 300 }, 2n);
    await world.statuses(id, "QUEUED", "ABORTED");
    assert.ok(performance.now() - begin > 250, "at once, before its dispatcher could tell of it");
    assert.deepEqual(d.taskIds, [1]);
  });

  it("gives up what is left of a host that goes away later, not of one that restarts", async (t) => {
    const { world, d, store, drive } = await start(t, [1, 2, 3]);
    const id = store.addRequest(
      [[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [2, 3], factor: 0.5 }]],
      waitMs(20),
    );
    await drive({ lostAfterMs: 150 });
    await eventually("the first stage", () => d.taskIds.length === 1);
    await stays("the time is over", 50, () => true);
    d.close(2);
    d.close(3);
    d.open(3, 2);
    await world.statuses(id, "QUEUED", "ABORTED", "PENDING");
    await stays("the one that restarted is waited for", 200, () => reasons(store).length === 1);
  });

  it("gives up nothing since a dispatcher is out of reach: its agents may all be there", async (t) => {
    const { world, d, store, drive } = await start(t, [1, 2]);
    store.hosts = [1, 2].map((id) => connectedHost(id));
    const stages = [[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [2] }]];
    const id = store.addRequest(stages, waitMs(20));
    await drive({ lostAfterMs: 50, reconnectWindowMs: 20 });
    await eventually("the first stage", () => d.taskIds.length === 1);
    await stays("the time is over", 50, () => true);
    d.leave();
    await stays("nothing is given up", 600, () => reasons(store).length === 0);
    const back = await world.dispatcher("dispatcher/d2");
    back.open(1, 2);
    back.open(2, 2);
    await eventually("it is watched", () => back.watched);
    back.tell(store.report(1n, SUCCEEDED));
    await world.statuses(id, "COMPLETED", "QUEUED");
  });
});

describe("hosts in maintenance", () => {
  const entry = (host: number, reason = "new disks") => ({
    hostId: BigInt(host),
    hostName: `host${host}`,
    maintenance: { reason },
  });

  it("are waited for until it ends, and hold up nobody else", async (t) => {
    const { d, store, drive } = await start(t, [1, 2]);
    store.maintenance = [entry(1)];
    store.addRequest([[{ role: "A", hosts: [1, 2] }]], wait);
    store.addRequest([[{ role: "B", hosts: [1] }]]);
    const { engine } = await drive({ reconcileMs: 20 });
    await eventually("the other host, and who does not wait", () => d.taskIds.length === 2);
    assert.deepEqual([...d.taskIds].sort(), [2, 3]);
    const [waits] = engine.waitsOf({ ...store.taskOf(1n), version: 1n }) ?? [];
    assert.deepEqual(
      [waits?.kind, waits?.text],
      ["MAINTENANCE", "its host is in maintenance: new disks"],
    );
    d.tell(store.report(3n, SUCCEEDED));
    await stays("it waits", 100, () => d.taskIds.length === 2);
    store.maintenance = [];
    await eventually("it runs", () => d.taskIds.includes(1));
  });

  it("are known before the first release, read only while somebody waits for hosts", async (t) => {
    const { world, d, store, drive } = await start(t, [1, 2]);
    const plain = store.addRequest([[{ role: "A", hosts: [2] }]]);
    await drive({ reconcileMs: 10 });
    await eventually("it runs", () => d.taskIds.length === 1);
    const reads = () => store.reads.filter((call) => call === "listMaintenance").length;
    assert.equal(reads(), 0);
    let read = () => {};
    store.beforeMaintenance = () => new Promise((resolve) => (read = resolve));
    const waiting = store.addRequest([[{ role: "B", hosts: [1] }]], wait);
    await eventually("it is read", () => reads() === 1);
    await stays("it is not known yet", 50, () => d.taskIds.length === 1);
    store.beforeMaintenance = () => undefined;
    read();
    await eventually("it runs", () => d.taskIds.length === 2);
    await eventually("it is read again", () => reads() > 3);
    d.tell(store.report(2n, SUCCEEDED));
    await world.statuses(waiting, "COMPLETED");
    await world.statuses(plain, "QUEUED");
    await eventually("the last read", async () => {
      // That none comes can only be waited for.
      const before = reads();
      await new Promise((resolve) => setTimeout(resolve, 100));
      return reads() === before;
    });
  });

  it("are given up when offline_expiry runs out", async (t) => {
    const { world, store, drive } = await start(t, [1]);
    store.maintenance = [entry(1)];
    const id = store.addRequest([[{ role: "A", hosts: [1] }]], waitMs(100));
    await drive({ lostAfterMs: never });
    await world.statuses(id, "ABORTED");
    assert.deepEqual(reasons(store), [
      "host host1 was in maintenance (new disks) when options.offline_expiry (100ms) ran out",
    ]);
  });
});
