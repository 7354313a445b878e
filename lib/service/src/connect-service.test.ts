import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { Health } from "@howdah/proto/grpc/health/v1/health";
import { createRpcServer } from "@howdah/rpc/server";
import { pino } from "pino";
import { connectService } from "./connect-service.js";

it("finds a service that is back within two seconds, however long it was away", async (t) => {
  const log = pino({ level: "silent" });
  const first = createRpcServer({ name: "first", log, drainGraceMs: 100 });
  const address = await first.listen("127.0.0.1:0");
  const transport = connectService({ address });
  t.after(() => transport.close());
  const client = createClient(Health, transport);
  await client.check({});
  await first.drain();
  // Long enough that a pause that doubles without a bound would be above two seconds.
  for (const until = performance.now() + 5_000; performance.now() < until; ) {
    await assert.rejects(transport.waitForReady(250));
  }
  const second = createRpcServer({ name: "second", log, drainGraceMs: 100 });
  await second.listen(address);
  t.after(() => second.drain());
  await transport.waitForReady(2_000);
  await client.check({});
});

it("lets a service send half a MiB ahead, on a stream and on the connection", async (t) => {
  const bare = createServer();
  bare.listen(0, "127.0.0.1");
  await once(bare, "listening");
  t.after(() => bare.close());
  const opened = once(bare, "session");
  const { port } = bare.address() as AddressInfo;
  const transport = connectService({ address: `127.0.0.1:${port}` });
  t.after(() => transport.close());
  await transport.waitForReady(5_000);
  const [session] = (await opened) as [ServerHttp2Session];
  // Both are said before a ping that is sent now is answered.
  await new Promise((resolve) => session.ping(resolve));
  const ahead = 512 << 10;
  assert.equal(session.remoteSettings.initialWindowSize, ahead);
  assert.equal(session.state.remoteWindowSize, ahead);
});
