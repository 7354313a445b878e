import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { eventually } from "./testing/eventually.js";
import { Fixture } from "./testing/fixture.js";

test("the lease is renewed, kept over an outage, and given back at the end", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const { dispatcher, holds, agent } = await fixture.dispatcher();
  const counter = () => store.leases.get("dispatcher/d1")?.counter ?? 0n;
  assert.match(store.leases.get("dispatcher/d1")?.holder ?? "", /^d1\/[0-9a-f]{12}$/);
  assert.match(store.leases.get("dispatcher/d1")?.address ?? "", /^127\.0\.0\.1:\d+$/);
  await eventually("renewals", () => counter() > 2n);
  const one = agent();
  await one.register("web-1");
  store.down = true;
  const before = counter();
  const since = performance.now();
  await eventually("more than the lease's duration", () => performance.now() - since > 1_000);
  assert.equal(one.ended, undefined, "the streams stay up");
  assert.ok(holds());
  store.down = false;
  await eventually("a late renewal", () => counter() > before);
  assert.equal(store.leases.get("dispatcher/d1")?.token, 1n);
  await dispatcher.drain(0, 100);
  assert.deepEqual(store.released, ["dispatcher/d1"]);
});

test("when somebody else takes the lease all sessions are dropped, and it is not snatched back", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const { agent, holds } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const lease = store.leases.get("dispatcher/d1");
  assert.ok(lease !== undefined);
  lease.token = 2n;
  lease.holder = "d1/another";
  const end = await one.end();
  assert.ok(end instanceof ConnectError && end.code === Code.Unavailable);
  assert.equal(holds(), false);
  const early = agent();
  early.sendRegister("web-1");
  const refused = await early.end();
  assert.ok(refused instanceof ConnectError && refused.code === Code.Unavailable);
  assert.match(refused.rawMessage, /does not hold its lease/);
  // The other one renews for a while: as long as it does, it keeps the lease.
  for (let times = 0; times < 8; times += 1) {
    lease.counter += 1n;
    const since = performance.now();
    await eventually("a while", () => performance.now() - since > 150);
    assert.equal(lease.token, 2n);
  }
  await eventually("the lease, once it has expired", () => holds());
  assert.equal(store.leases.get("dispatcher/d1")?.token, 3n);
  await agent().register("web-1");
});

test("a store that is away at the start delays the lease", async (t) => {
  const fixture = await Fixture.start(t);
  fixture.store.down = true;
  const { agent, holds } = await fixture.dispatcher({}, { waitForLease: false });
  const early = agent();
  early.sendRegister("web-1");
  const refused = await early.end();
  assert.ok(refused instanceof ConnectError && refused.code === Code.Unavailable);
  fixture.store.down = false;
  await eventually("the lease", () => holds());
  await agent().register("web-1");
});
