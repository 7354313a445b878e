import assert from "node:assert/strict";
import { test } from "node:test";
import { EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { createTestLog, echoClient, until } from "./echo-fixture.js";
import { lossyProxy } from "./lossy-proxy-fixture.js";
import { createRpcServer } from "./server.js";

// Not so a cancel: Node ends the requests of a stream before it resets it, and a server may read the two apart. Whoever must know that all
// requests came needs a message that says so.
test("a lost connection is never mistaken for the end of the requests", async (t) => {
  const { log } = createTestLog();
  const ends: string[] = [];
  let received = 0;
  const server = createRpcServer({ name: "collect", log }).add(EchoService, {
    async collect(requests) {
      let count = 0;
      try {
        for await (const _ of requests) {
          count += 1;
          received += 1;
        }
        ends.push(`complete with ${count}`);
      } catch {
        ends.push("broken off");
      }
      return {};
    },
  });
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  for (let round = 0; round < 30; round++) {
    const proxy = await lossyProxy(t, address);
    const { client } = echoClient(t, proxy.address);
    const stop = new AbortController();
    let sent = 0;
    received = 0;
    async function* some() {
      for (; sent < 3 + (round % 3); sent++) yield { text: "x".repeat(100) };
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
    }
    const call = client.collect(some(), { signal: stop.signal });
    call.catch(() => {});
    await until(() => received >= 1, "a request has come");
    proxy.cut();
    await until(() => ends.length > round, "the handler has ended");
    stop.abort();
  }
  assert.deepEqual([...new Set(ends)], ["broken off"]);
});
