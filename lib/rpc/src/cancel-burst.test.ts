import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import { EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { createTestLog, echoClient, until } from "./echo-fixture.js";
import { createRpcServer } from "./server.js";

// What this is for needs a connection that breaks at the right moment: a process spins, see OpenCall.cancelSoon. A test that stops and
// continues a process now and then sees that in one of ten tries.
for (const how of ["its signal", "the transport's end"] as const) {
  test(`a stream is closed with the next turn of the event loop when ${how} cancels it`, async (t) => {
    const { log } = createTestLog();
    let received = 0;
    const server = createRpcServer({ name: "collect", log }).add(EchoService, {
      async collect(requests) {
        for await (const _ of requests) received += 1;
        return {};
      },
    });
    const address = await server.listen("127.0.0.1:0");
    t.after(() => server.drain());
    // Node tells nobody of its class of streams, so one is made for its sake.
    const session = connect(`http://${address}`);
    const stream = session.request();
    stream.on("error", () => {});
    const streams = Object.getPrototypeOf(stream) as { close?: unknown };
    session.destroy();
    const close = stream.close;
    let closed = 0;
    streams.close = function (this: typeof stream, ...args: Parameters<typeof close>) {
      closed += 1;
      return close.apply(this, args);
    };
    t.after(() => delete streams.close);

    const { client, transport } = echoClient(t, address);
    const stop = new AbortController();
    async function* some() {
      yield { text: "one" };
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
    }
    const call = client.collect(some(), { signal: stop.signal });
    call.catch(() => {});
    await until(() => received === 1, "a request has come");
    if (how === "its signal") stop.abort();
    else transport.close();
    for (let n = 0; n < 50; n += 1) await Promise.resolve();
    assert.equal(closed, 0);
    await assert.rejects(call);
    await until(() => closed === 1, "the stream is closed");
    stop.abort();
  });
}
