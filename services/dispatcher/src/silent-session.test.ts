import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { Fixture } from "./testing/fixture.js";
import { RawAgent } from "./testing/raw-agent.js";

/** A way to `address` that can fall silent, as a host does that loses its power. */
async function silentWay(t: TestContext, address: string) {
  const sockets = new Set<Socket>();
  const [host = "", port = ""] = address.split(":");
  const server = createServer((inward) => {
    const outward = connect(Number(port), host);
    for (const socket of [inward, outward]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
    }
    inward.pipe(outward).pipe(inward);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return {
    address: `127.0.0.1:${bound.port}`,
    fallSilent() {
      for (const socket of sockets) socket.unpipe().pause();
    },
  };
}

const keepalive = { timeMs: 300, timeoutMs: 200 };

for (const [how, least, most] of [
  ["says goodbye", 0, 0],
  ["is cut off", 0, 0],
  ["falls silent", 500, 500],
] as const) {
  test(`the end of a session whose agent ${how} says how long ago it was last there`, async (t) => {
    const fixture = await Fixture.start(t);
    const { client, agentAddress } = await fixture.dispatcher({}, { keepalive });
    const way = await silentWay(t, agentAddress);
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
    else way.fallSilent();
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
