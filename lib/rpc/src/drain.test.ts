import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { all, createTestLog, echoClient, holdShutdown, serveEcho, until } from "./echo-fixture.js";
import { createRpcServer } from "./server.js";

/** A server whose Echo answers when told to, whatever its signal says. */
async function serveGate() {
  const { log } = createTestLog();
  let open = () => {};
  let entered = 0;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const server = createRpcServer({ name: "gate", log, drainGraceMs: 300 }).add(EchoService, {
    async echo({ text }) {
      entered += 1;
      await gate;
      return { text };
    },
  });
  return { server, open, entered: () => entered, address: await server.listen("127.0.0.1:0") };
}

test("a drain lets unary calls end, ends streams with UNAVAILABLE, and refuses new connections", async (t) => {
  const { server, open, entered, address } = await serveGate();
  const { client } = echoClient(t, address);
  const call = client.echo({ text: "in flight" });
  await until(() => entered() === 1, "the call has come");
  let drained = false;
  const drain = server.drain().then(() => {
    drained = true;
  });
  await until(() => server.health.get("") === false, "the server is not ready");
  let refused = false;
  await until(() => {
    const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
    socket.on("connect", () => socket.destroy());
    socket.on("error", () => {
      refused = true;
    });
    return refused;
  }, "new connections are refused");
  assert.equal(drained, false);
  open();
  assert.equal((await call).text, "in flight");
  await drain;
});

test("streams end at once, with UNAVAILABLE and the server's name, and their handlers' signals abort", async (t) => {
  const { server, address, echo } = await serveEcho(t, { name: "dispatcher", drainGraceMs: 5000 });
  const { client } = echoClient(t, address);
  const stop = new AbortController();
  t.after(() => stop.abort());
  async function* silent() {
    yield { text: "first" };
    await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
  }
  const answers = client.converse(silent(), { signal: stop.signal })[Symbol.asyncIterator]();
  await answers.next();
  const startedAt = performance.now();
  const drain = server.drain();
  await assert.rejects(answers.next(), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.deepEqual(
      [error.code, error.rawMessage],
      [Code.Unavailable, "dispatcher is shutting down"],
    );
    return true;
  });
  assert.equal(ConnectError.from(echo.context().signal.reason).code, Code.Unavailable);
  await drain;
  assert.ok(performance.now() - startedAt < 4000, "nothing had to be cut off");
});

test("what does not end within the grace is cut off", async (t) => {
  const { server, entered, address } = await serveGate();
  const { client } = echoClient(t, address);
  const call = client.echo({ text: "for ever" });
  const failed = assert.rejects(
    call,
    (error) => ConnectError.from(error).code === Code.Unavailable,
  );
  await until(() => entered() === 1, "the call has come");
  await server.drain();
  await failed;
});

test("a drain without a call, without a listen, and twice", async () => {
  const { server } = await serveGate();
  await Promise.all([server.drain(), server.drain()]);
  const { log } = createTestLog();
  await createRpcServer({ name: "idle", log }).drain();
});

test("the handler of a stream that comes during a drain is not called", async (t) => {
  const shutdown = holdShutdown(t);
  const { server, address, echo } = await serveEcho(t);
  const { client, transport } = echoClient(t, address);
  await transport.waitForReady(5_000);
  const drained = server.drain();
  await shutdown.begun();
  async function* said() {
    yield { text: "late" };
  }
  await assert.rejects(all(client.converse(said())), (error) => {
    assert.equal(ConnectError.from(error).rawMessage, "echo is shutting down");
    return true;
  });
  assert.equal(echo.called(), false);
  shutdown.goOn();
  await drained;
});
