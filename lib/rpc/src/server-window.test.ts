import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { type TestContext, test } from "node:test";
import { createTestLog } from "./echo-fixture.js";
import { createRpcServer } from "./server.js";

/** What a client of a server may send ahead. */
async function ahead(t: TestContext, windowBytes: number | undefined) {
  const { log } = createTestLog();
  const server = createRpcServer({ name: "test", log, windowBytes });
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  const session = connect(`http://${address}`);
  t.after(() => session.destroy());
  await once(session, "connect");
  // What is said at the beginning comes before the answer.
  await new Promise((resolve) => session.ping(resolve));
  return {
    onStream: session.remoteSettings.initialWindowSize,
    onConnection: session.state.remoteWindowSize,
  };
}

test("clients may send as much ahead as the server was told, else HTTP/2's 64 KiB", async (t) => {
  const bytes = 2 << 20;
  assert.deepEqual(await ahead(t, bytes), { onStream: bytes, onConnection: bytes });
  assert.deepEqual(await ahead(t, undefined), { onStream: 65_535, onConnection: 65_535 });
});
