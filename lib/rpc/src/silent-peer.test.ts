import assert from "node:assert/strict";
import { test } from "node:test";
import { echoClient, serveEcho, until } from "./echo-fixture.js";
import { lossyProxy } from "./lossy-proxy-fixture.js";
import { peerSilentMs } from "./silent-peer.js";

const keepalive = { timeMs: 200, timeoutMs: 100 };

for (const [how, expected] of [
  ["falls silent", 300],
  ["closes its connection", 0],
  ["cancels the call", 0],
  ["ends the call", 0],
] as const) {
  test(`a peer that ${how} was silent for ${expected} ms`, async (t) => {
    const { address, echo } = await serveEcho(t, { keepalive });
    const proxy = await lossyProxy(t, address);
    const { client } = echoClient(t, proxy.address);
    const stop = new AbortController();
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    t.after(() => end());
    async function* talk() {
      yield { text: "first" };
      await ended;
    }
    const answers = client.converse(talk(), { signal: stop.signal })[Symbol.asyncIterator]();
    await answers.next();
    const { signal } = echo.context();
    if (how === "falls silent") proxy.freeze();
    else if (how === "closes its connection") proxy.cut();
    else if (how === "cancels the call") stop.abort();
    else end();
    answers.next().catch(() => {});
    await until(() => signal.aborted, "the call has ended");
    assert.equal(peerSilentMs(signal), expected);
  });
}
