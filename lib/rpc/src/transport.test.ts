import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { Behaviour, EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { onward } from "./call-id.js";
import { connectTarget } from "./connect-target.js";
import { all, createTestLog, each, echoClient, serveEcho, until } from "./echo-fixture.js";
import { lossyProxy } from "./lossy-proxy-fixture.js";
import { createRpcServer } from "./server.js";

const code = (wanted: Code) => (error: unknown) => ConnectError.from(error).code === wanted;

test("addresses become targets of grpc-js, and those that cannot are refused by name", () => {
  assert.equal(connectTarget("store:7420", "store"), "dns:///store:7420");
  assert.equal(connectTarget("localhost:7420", "store"), "dns:///localhost:7420");
  assert.equal(connectTarget("10.0.0.1:1", "store"), "ipv4:10.0.0.1:1");
  assert.equal(connectTarget("[::1]:1", "store"), "ipv6:[::1]:1");
  assert.equal(connectTarget("10.0.0.1:1, 10.0.0.2:2", "store"), "ipv4:10.0.0.1:1,10.0.0.2:2");
  assert.equal(connectTarget("localhost:1,127.0.0.1:2", "store"), "ipv4:127.0.0.1:1,127.0.0.1:2");
  assert.throws(
    () => connectTarget("a:1,b:2", "store"),
    /^Error: store: "a:1,b:2" must hold IP addresses/,
  );
  assert.throws(() => connectTarget("10.0.0.1:1,", "store"), /^Error: store: "" has no port/);
});

test("a list of addresses: calls go round, and past a server that is down", async (t) => {
  const servers = await Promise.all([serveEcho(t), serveEcho(t)]);
  const { client, transport } = echoClient(t, servers.map(({ address }) => address).join(","));
  await transport.waitForReady(5000);
  const calls = () => servers.map(({ lines }) => lines.filter(({ msg }) => msg === "call").length);
  await until(() => {
    client.echo({}).catch(() => {});
    return calls().every((count) => count > 0);
  }, "both servers have been called");
  await servers[0]?.server.drain();
  for (let i = 0; i < 10; i++) assert.equal((await client.echo({ text: "on" })).text, "on");
});

test("the state of the connection, and waiting for it", async (t) => {
  const { address, server } = await serveEcho(t);
  const { client, transport } = echoClient(t, address, {
    channelOptions: {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 50,
    },
  });
  assert.equal(transport.state(), "idle");
  await transport.waitForReady(5000);
  assert.equal(transport.state(), "ready");
  await server.drain();
  await until(() => transport.state() !== "ready", "the loss is seen");
  await assert.rejects(transport.waitForReady(100), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.Unavailable);
    assert.match(error.rawMessage, new RegExp(`no connection to ${address} within 100 ms`));
    return true;
  });
  await assert.rejects(
    transport.waitForReady(60_000, AbortSignal.timeout(50)),
    /TimeoutError|aborted/,
  );
  await assert.rejects(client.echo({}), code(Code.Unavailable));

  const { log } = createTestLog();
  const again = createRpcServer({ name: "again", log }).add(EchoService, {
    echo: ({ text }) => ({ text }),
  });
  await again.listen(address);
  t.after(() => again.drain());
  await transport.waitForReady(5000);
  assert.equal((await client.echo({ text: "back" })).text, "back");
});

test("close ends the calls in flight, and may be called again", async (t) => {
  const { address, echo } = await serveEcho(t);
  const { client, transport } = echoClient(t, address);
  const unary = assert.rejects(client.echo({ behaviour: Behaviour.HANG }), code(Code.Canceled));
  const answers = client.repeat({ paddingBytes: 1000 })[Symbol.asyncIterator]();
  await answers.next();
  transport.close();
  transport.close();
  await unary;
  await assert.rejects(
    (async () => {
      for (;;) if ((await answers.next()).done) return;
    })(),
    code(Code.Canceled),
  );
  await until(() => echo.running() === 0, "the handler has ended");
  assert.equal(transport.state(), "shutdown");
  await assert.rejects(transport.waitForReady(1000), code(Code.Unavailable));
  await assert.rejects(client.echo({}), ConnectError);
});

test("a signal that was aborted before the call", async (t) => {
  const { address, echo } = await serveEcho(t);
  const { client } = echoClient(t, address);
  const options = { signal: AbortSignal.abort() };
  await assert.rejects(client.echo({}, options), code(Code.Canceled));
  await assert.rejects(all(client.converse(each({}), options)), code(Code.Canceled));
  assert.equal(echo.called(), false);
});

test("a request stream that fails ends the call with its error, and the handler does not see a clean end", async (t) => {
  const { address, echo } = await serveEcho(t);
  const { client } = echoClient(t, address);
  async function* broken() {
    yield { text: "a" };
    await until(() => echo.running() === 1, "the handler runs");
    throw new ConnectError("no more to say", Code.DataLoss);
  }
  await assert.rejects(client.collect(broken()), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.deepEqual([error.code, error.rawMessage], [Code.DataLoss, "no more to say"]);
    return true;
  });
  await until(() => echo.running() === 0, "the handler has ended");
});

test("a server that answers before the requests end stops them", async (t) => {
  const { log } = createTestLog();
  const server = createRpcServer({ name: "early", log }).add(EchoService, {
    async collect(requests) {
      for await (const { text } of requests) if (text === "enough") break;
      return { text: "early" };
    },
  });
  const { client } = echoClient(t, await server.listen("127.0.0.1:0"));
  t.after(() => server.drain());
  let stopped = false;
  async function* endless() {
    try {
      yield { text: "enough" };
      for (;;) yield { text: "x".repeat(1000) };
    } finally {
      stopped = true;
    }
  }
  assert.equal((await client.collect(endless())).text, "early");
  await until(() => stopped, "the client's generator has ended");
});

test("interceptors of the client and of the service run, and can change headers", async (t) => {
  const { address, echo } = await serveEcho(t, {
    interceptors: [
      (next) => async (request) => {
        if (request.header.get("authorization") !== "Bearer x")
          throw new ConnectError("who?", Code.Unauthenticated);
        return next(request);
      },
    ],
  });
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", "Bearer x");
    request.header.set("token-bin", Buffer.from([0, 255]).toString("base64"));
    return next(request);
  };
  await assert.rejects(echoClient(t, address).client.echo({}), code(Code.Unauthenticated));
  const { client } = echoClient(t, address, { interceptors: [authorize] });
  await client.echo({});
  assert.equal(echo.context().requestHeader.get("token-bin"), "AP8=");
  assert.deepEqual(
    (await all(client.converse(each({ text: "a" })))).map(({ text }) => text),
    ["a"],
  );
});

test("a call made on behalf of another has its id, its deadline and its cancellation", async (t) => {
  const inner = await serveEcho(t);
  const { client: inward } = echoClient(t, inner.address);
  const { log, lines } = createTestLog();
  const outer = createRpcServer({ name: "outer", log }).add(EchoService, {
    echo: (request, context) => inward.echo(request, onward(context)),
  });
  const { client } = echoClient(t, await outer.listen("127.0.0.1:0"));
  t.after(() => outer.drain());
  const { text } = await client.echo(
    { behaviour: Behaviour.DESCRIBE_CALLER },
    { headers: { "x-call-id": "trace.1" }, timeoutMs: 5000 },
  );
  assert.equal(text.split("\n")[2], "trace.1");
  const left = inner.echo.context().timeoutMs();
  assert.ok(left !== undefined && left <= 5000);
  await until(() => lines.length > 0, "the outer call is logged");
  assert.equal(lines[0]?.call, "trace.1");

  const stop = new AbortController();
  const call = assert.rejects(
    client.echo({ behaviour: Behaviour.HANG }, { signal: stop.signal }),
    code(Code.Canceled),
  );
  const before = inner.echo.context();
  await until(() => inner.echo.context() !== before, "the inner call has come");
  stop.abort();
  await call;
  await until(() => inner.echo.context().signal.aborted, "the inner handler's signal is aborted");
});

test("an id that is unfit for a log line is replaced", async (t) => {
  const { address } = await serveEcho(t);
  const { client } = echoClient(t, address);
  const request = { behaviour: Behaviour.DESCRIBE_CALLER };
  for (const bad of ["a b", "x".repeat(65), '"}']) {
    const { text } = await client.echo(request, { headers: { "x-call-id": bad } });
    assert.match(text.split("\n")[2] ?? "", /^[0-9a-f]{12}-[0-9a-z]+$/);
  }
});

test("keepalive: a peer that falls silent is noticed on both sides", async (t) => {
  const keepalive = { timeMs: 200, timeoutMs: 100 };
  const { address, echo } = await serveEcho(t, { keepalive });
  const proxy = await lossyProxy(t, address);
  const { client } = echoClient(t, proxy.address, { keepalive });
  const stop = new AbortController();
  t.after(() => stop.abort());
  async function* silent() {
    yield { text: "first" };
    await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
  }
  const answers = client.converse(silent(), { signal: stop.signal })[Symbol.asyncIterator]();
  await answers.next();
  proxy.freeze();
  await assert.rejects(answers.next(), code(Code.Unavailable));
  await until(() => echo.running() === 0, "the server has noticed too");
});

test("transports share a connection unless told otherwise", async (t) => {
  const { address, lines } = await serveEcho(t);
  const peers = () =>
    new Set(lines.filter(({ msg }) => msg === "call").map(({ peer }) => peer)).size;
  for (let i = 0; i < 3; i++)
    await echoClient(t, address, { ownConnection: false }).client.echo({});
  await until(() => lines.length === 3, "three calls are logged");
  assert.equal(peers(), 1);
  for (let i = 0; i < 3; i++) await echoClient(t, address, { ownConnection: true }).client.echo({});
  await until(() => lines.length === 6, "six calls are logged");
  assert.equal(peers(), 4);
});

test("a transport that is closed after a try that failed does not try again", async (t) => {
  const transportWithPause = (address: string, pauseMs: number) =>
    echoClient(t, address, {
      channelOptions: { "grpc.initial_reconnect_backoff_ms": pauseMs },
      ownConnection: true,
    });
  const closed = await refusingServer(t);
  await closed.stop();
  const { client, transport } = transportWithPause(closed.address, 300);
  await assert.rejects(client.echo({}), code(Code.Unavailable));
  transport.close();
  await closed.start();
  const clock = await refusingServer(t);
  transportWithPause(clock.address, 900)
    .client.echo({})
    .catch(() => {});
  await until(() => clock.connections() >= 2, "one with a longer pause has tried again");
  assert.equal(closed.connections(), 0);
});

/** A server that ends each connection. */
async function refusingServer(t: TestContext) {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  const listen = async (port: number) => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  const stop = async () => {
    server.close();
    await once(server, "close");
  };
  const port = await listen(0);
  t.after(() => server.close());
  return {
    address: `127.0.0.1:${port}`,
    connections: () => connections,
    start: () => listen(port),
    stop,
  };
}
