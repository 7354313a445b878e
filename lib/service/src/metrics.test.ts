import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { createRpcServer } from "@howdah/rpc/server";
import { createRpcTransport } from "@howdah/rpc/transport";
import { pino } from "pino";
import { startMetrics } from "./metrics.js";

class NoSuchText extends Error {}

describe("startMetrics()", () => {
  it("counts calls by method and the code that callers get, and those that are open", async (t) => {
    const metrics = await startMetrics("127.0.0.1:0", undefined);
    let go = () => {};
    const seen = new Promise<void>((resolve) => {
      go = resolve;
    });
    const server = createRpcServer({
      name: "echo",
      log: pino({ level: "silent" }),
      observe: metrics.observe,
      mapError: (error) =>
        error instanceof NoSuchText ? new ConnectError("no", Code.NotFound) : undefined,
    });
    server.add(EchoService, {
      echo({ text }) {
        if (text === "") throw new NoSuchText();
        return { text };
      },
      async *repeat() {
        yield {};
        await seen;
      },
    });
    const transport = createRpcTransport({ address: await server.listen("127.0.0.1:0") });
    t.after(async () => {
      transport.close();
      await server.drain();
    });
    const client = createClient(EchoService, transport);
    await client.echo({ text: "a" });
    await client.echo({ text: "b" });
    await assert.rejects(client.echo({}));
    const stream = client.repeat({})[Symbol.asyncIterator]();
    await stream.next();
    const read = () => fetch(`http://${metrics.address}/metrics`).then((answer) => answer.text());
    const service = "howdah.rpc.test.v1.EchoService";
    const during = await read();
    assert.match(during, new RegExp(`_open_calls{method="${service}/Repeat"} 1`));
    go();
    while (!(await stream.next()).done);
    const text = await read();
    const count = (method: string, code: string) =>
      new RegExp(`_call_seconds_count{method="${service}/${method}",code="${code}"} (\\d+)`).exec(
        text,
      )?.[1];
    assert.equal(count("Echo", "OK"), "2");
    assert.equal(count("Echo", "NotFound"), "1");
    assert.equal(count("Repeat", "OK"), "1");
    assert.match(text, new RegExp(`_open_calls{method="${service}/Repeat"} 0`));
    assert.match(text, /process_resident_memory_bytes \d+/);
    assert.equal((await fetch(`http://${metrics.address}/`)).status, 404);
  });
});
