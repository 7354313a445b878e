import assert from "node:assert/strict";
import { test } from "node:test";
import { lossyProxy } from "@howdah/rpc/lossy-proxy-fixture";
import { Fixture } from "./testing/fixture.js";
import { RawAgent } from "./testing/raw-agent.js";

const keepalive = { timeMs: 300, timeoutMs: 200 };

for (const [how, least, most] of [
  ["says goodbye", 0, 0],
  ["is cut off", 0, 0],
  ["falls silent", 500, 500],
] as const) {
  test(`the end of a session whose agent ${how} says how long ago it was last there`, async (t) => {
    const fixture = await Fixture.start(t);
    const { client, agentAddress } = await fixture.dispatcher({}, { keepalive });
    const way = await lossyProxy(t, agentAddress);
    const agent = new RawAgent(way.address);
    t.after(() => agent.cut());
    await agent.register("web-1");
    // It is longer ago than the keepalive that the agent said something: its connection was there all the time.
    const silentMs = async () => (await client.listSessions({})).sessions[0]?.silentMs ?? 0n;
    while ((await silentMs()) < 700n);
    const watching = new AbortController();
    t.after(() => watching.abort());
    const events = client.watchDeliveries({ schedulerToken: 1n }, { signal: watching.signal });
    const told = events[Symbol.asyncIterator]();
    await told.next();
    if (how === "says goodbye") agent.goodbye();
    else if (how === "is cut off") agent.cut();
    else way.freeze();
    const { event } = (await told.next()).value ?? {};
    assert.ok(event?.case === "closed");
    const { silentMs: silent } = event.value;
    assert.ok(silent >= least && silent <= most, `${silent} ms`);
  });
}

test("a session that ends because its agent says nothing was silent for as long as that", async (t) => {
  const fixture = await Fixture.start(t);
  const { client, agent } = await fixture.dispatcher({ heartbeatMs: 100 });
  const hung = agent();
  hung.answersProbes = false;
  const watching = new AbortController();
  t.after(() => watching.abort());
  const events = client.watchDeliveries({ schedulerToken: 1n }, { signal: watching.signal });
  const told = events[Symbol.asyncIterator]();
  await told.next();
  await hung.register("web-1");
  await told.next();
  const { event } = (await told.next()).value ?? {};
  assert.ok(event?.case === "closed");
  assert.ok(event.value.silentMs > 300n, `${event.value.silentMs} ms`);
});
