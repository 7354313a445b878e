import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { HostSchema, HostState } from "@howdah/proto/howdah/v1/fleet";
import { StaleOwnerError } from "../engine/recorder.js";
import { eventually, stays } from "../testing/eventually.js";
import { World } from "../testing/world.js";

const times = { lostAfterMs: 150, reconnectWindowMs: 100 };

const host = (id: number, lost = false) =>
  create(HostSchema, {
    ...{ hostId: BigInt(id), hostName: `h${id}`, sessionEpoch: 1n },
    state: lost ? HostState.HEARTBEAT_LOST : HostState.HEALTHY,
  });

/** A scheduler that leads, and a dispatcher with sessions of these hosts. */
async function lead(t: TestContext, ids: number[], options = times) {
  const world = await World.start(t);
  const { store } = world;
  store.hosts = ids.map((id) => host(id));
  const d = await world.dispatcher();
  for (const id of ids) d.open(id, 1);
  const scheduler = await world.scheduler(1n, options);
  await eventually("the dispatcher is watched", () => d.watched);
  return { world, store, d, scheduler, lost: store.lostHosts };
}

describe("HostMonitor", () => {
  it("records a host whose agent stays away, once, in a batch with others", async (t) => {
    const { d, lost } = await lead(t, [1, 2, 3]);
    const began = performance.now();
    d.close(1);
    d.close(2);
    await eventually("they are lost", () => lost.calls.flat().length === 2);
    assert.ok(performance.now() - began >= 150);
    await stays("it is recorded once", 300, () => lost.calls.flat().length === 2);
    assert.deepEqual(lost.calls.flat().sort(), [1, 2]);
    assert.ok(lost.calls.length <= 2);
    assert.deepEqual(
      lost.last?.hosts.map(({ sessionEpoch }) => sessionEpoch),
      lost.last?.hosts.map(() => 1n),
    );
  });

  it("counts the silence before the end of the session in", async (t) => {
    const { d, lost } = await lead(t, [1], { ...times, lostAfterMs: 60_000 });
    d.close(1, 60_000);
    await eventually("it is lost", () => lost.calls.length === 1);
  });

  it("leaves a host alone that comes back in time", async (t) => {
    const { d, lost } = await lead(t, [1]);
    for (let epoch = 2; epoch < 6; epoch += 1) {
      d.close(1);
      await stays("it is not lost", 80, () => lost.calls.length === 0);
      d.open(1, epoch);
    }
    await stays("it is not lost", 300, () => lost.calls.length === 0);
  });

  it("finds hosts at take-over that have no session, and asks again about those passed over", async (t) => {
    const world = await World.start(t);
    const { store } = world;
    store.hosts = [host(1), host(2), host(3, true)];
    store.lostHosts.open.add(2n);
    const d = await world.dispatcher();
    d.open(3, 2);
    const began = performance.now();
    await world.scheduler(1n, times);
    await eventually("both are asked for", () => store.lostHosts.calls.length >= 1);
    assert.ok(performance.now() - began >= 250);
    assert.deepEqual(store.lostHosts.calls[0]?.sort(), [1, 2]);
    await eventually("the other again", () => store.lostHosts.calls.length >= 3);
    assert.deepEqual(store.lostHosts.calls.slice(1, 3), [[2], [2]]);
  });

  for (const [what, lostAfterMs] of [
    ["longer than the interval", 200],
    ["shorter than the interval", 1_000],
  ] as const) {
    it(`marks nobody while the store is away for ${what}, nor soon after it is back`, async (t) => {
      const reconnectWindowMs = 1_500;
      const { d, store, lost } = await lead(t, [1], { lostAfterMs, reconnectWindowMs });
      d.close(1);
      store.down = true;
      await stays("nothing is recorded", 400, () => lost.calls.length === 0);
      store.down = false;
      const back = performance.now();
      await eventually("it is lost at last", () => lost.calls.length === 1);
      const tookMs = performance.now() - back;
      assert.ok(tookMs > lostAfterMs + reconnectWindowMs - 50, `${tookMs} ms`);
    });
  }

  it("names the leases that it saw expire, and only those", async (t) => {
    const { world, d, lost, store } = await lead(t, [1, 2]);
    const other = await world.dispatcher("dispatcher/d2");
    await eventually("it is watched", () => other.watched);
    const renewing = setInterval(() => {
      const lease = store.leases.rows.get("dispatcher/d2");
      if (lease !== undefined) lease.counter += 1n;
    }, 10);
    t.after(() => clearInterval(renewing));
    const address = store.leases.rows.get(d.name)?.address ?? "";
    d.lease(address, 100);
    await d.stop();
    await eventually("its hosts are lost", () => lost.calls.flat().length === 2);
    assert.deepEqual(
      lost.last?.expiredLeases.map(({ name, counter }) => [name, counter]),
      [["dispatcher/d1", 1n]],
    );
  });

  it("has a lost host's agent register again when its dispatcher still has the session", async (t) => {
    const world = await World.start(t);
    world.store.hosts = [host(1, true), host(2), host(3, true)];
    const d = await world.dispatcher();
    for (const id of [1, 2]) d.open(id, 1);
    d.open(3, 2);
    await world.scheduler(1n, times);
    await eventually("it is asked", () => d.askedToRegister.length > 0);
    assert.deepEqual([...new Set(d.askedToRegister)], [1n]);
  });

  it("ends the turn of a scheduler that another one has succeeded", async (t) => {
    const { world, d, scheduler, lost } = await lead(t, [1]);
    const { store } = world.clients();
    await store.recordLostHosts({ schedulerToken: 2n });
    d.close(1);
    assert.ok((await scheduler.ended) instanceof StaleOwnerError);
    assert.deepEqual(lost.calls, []);
  });
});
