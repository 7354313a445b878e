import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Behaviour, EchoRequestSchema, EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { all, createTestLog, each, echoClient, serveEcho, until } from "./echo-fixture.js";
import { lossyProxy } from "./lossy-proxy-fixture.js";
import { createRpcServer } from "./server.js";

/** The ConnectError that a call must fail with. */
async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  assert.fail("the call should have failed");
}

describe("the four kinds of call", () => {
  test("unary, with headers and trailers both ways", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const seen: string[] = [];
    const answer = await client.echo(
      { text: "hello" },
      {
        onHeader: (header) => seen.push(`header ${header.get("x-header")}`),
        onTrailer: (trailer) => seen.push(`trailer ${trailer.get("x-trailer")}`),
      },
    );
    assert.equal(answer.text, "hello");
    assert.deepEqual(seen, ["header hello", "trailer hello"]);
  });

  test("server streaming", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const answers = await all(client.repeat({ text: "a", count: 100, paddingBytes: 10 }));
    assert.deepEqual(
      answers.map(({ number }) => number),
      Array.from({ length: 100 }, (_, i) => i),
    );
    const padding = answers[0]?.padding;
    assert.ok(padding instanceof Uint8Array && !Buffer.isBuffer(padding));
  });

  test("client streaming, also with no message at all", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const answer = await client.collect(each({ text: "a" }, { text: "b" }, { text: "c" }));
    assert.deepEqual([answer.text, answer.count], ["a b c", 3]);
    assert.equal((await client.collect(each())).count, 0);
  });

  test("bidirectional, each answer before the next request", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address);
    let answered = 0;
    async function* ask() {
      for (let i = 0; i < 50; i++) {
        await until(() => answered === i, `answer ${i} is there`);
        yield { text: String(i) };
      }
    }
    for await (const { text } of client.converse(ask())) {
      assert.equal(text, String(answered));
      answered += 1;
    }
    assert.equal(answered, 50);
  });
});

describe("errors", () => {
  test("code, message and details travel, metadata does not", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ text: "x", behaviour: Behaviour.FAIL }));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.rawMessage, "asked to fail: 100% sure, ü");
    assert.equal(error.findDetails(EchoRequestSchema)[0]?.text, "x");
    assert.deepEqual([...error.metadata], []);
  });

  test("an error passed on by a second server arrives as it was", async (t) => {
    const inner = await serveEcho(t);
    const { client: inward } = echoClient(t, inner.address);
    const { log } = createTestLog();
    const outer = createRpcServer({ name: "outer", log }).add(EchoService, {
      echo: (request) => inward.echo(request),
    });
    const address = await outer.listen("127.0.0.1:0");
    t.after(() => outer.drain());
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ text: "x", behaviour: Behaviour.FAIL }));
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.findDetails(EchoRequestSchema)[0]?.text, "x");
  });

  test("what is no RPC error is masked, and logged with its stack under the same call id", async (t) => {
    const { address, lines } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const error = await failure(
      client.echo({ text: "", behaviour: Behaviour.THROW }, { headers: { "x-call-id": "abc-1" } }),
    );
    assert.equal(error.code, Code.Internal);
    assert.equal(error.rawMessage, "internal error (call abc-1)");
    const line = lines.find(({ msg }) => msg === "internal error");
    assert.equal(line?.call, "abc-1");
    assert.match(JSON.stringify(line?.err), /secret of the server.*at .*echo/);
  });

  test("domain errors leave as the service says", async (t) => {
    const { address } = await serveEcho(t, {
      mapError: (error) =>
        error instanceof Error ? new ConnectError("no such thing", Code.NotFound) : undefined,
    });
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ text: "", behaviour: Behaviour.THROW }));
    assert.deepEqual([error.code, error.rawMessage], [Code.NotFound, "no such thing"]);
  });

  test("an error at the end of a stream", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const error = await failure(all(client.repeat({ count: 1, failAtEnd: true })));
    assert.deepEqual([error.code, error.rawMessage], [Code.Aborted, "asked to fail"]);
  });

  test("a message that no percent-encoding can carry still ends the call", async (t) => {
    const { address } = await serveEcho(t, {
      mapError: () => new ConnectError("half a pair: \ud800", Code.OutOfRange),
    });
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ text: "", behaviour: Behaviour.THROW }));
    assert.equal(error.code, Code.OutOfRange);
  });

  test("a header or trailer that cannot be sent fails the call, and says so in the log", async (t) => {
    const { address, lines } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ text: "ü" }));
    assert.equal(error.code, Code.Internal);
    assert.match(JSON.stringify(lines), /contains illegal characters/);
  });

  test("methods and services that are not there are UNIMPLEMENTED", async (t) => {
    const { log } = createTestLog();
    const server = createRpcServer({ name: "half", log }).add(EchoService, {});
    const address = await server.listen("127.0.0.1:0");
    t.after(() => server.drain());
    const { client } = echoClient(t, address);
    assert.equal((await failure(client.echo({}))).code, Code.Unimplemented);

    const bare = createRpcServer({ name: "bare", log });
    const elsewhere = echoClient(t, await bare.listen("127.0.0.1:0"));
    t.after(() => bare.drain());
    const error = await failure(elsewhere.client.echo({}));
    assert.equal(error.code, Code.Unimplemented);
    assert.match(error.rawMessage, /Echo/);
  });

  test("a message above the limit is refused by its sender, naming the limit", async (t) => {
    const { address } = await serveEcho(t, { maxMessageBytes: 1000 });
    const { client } = echoClient(t, address, { maxMessageBytes: 2000 });
    const big = await failure(client.echo({ text: "x".repeat(3000) }));
    assert.equal(big.code, Code.ResourceExhausted);
    assert.match(big.rawMessage, /EchoRequest has 3003 bytes.* 2000/);
    const middling = await failure(client.echo({ text: "x".repeat(1500) }));
    assert.equal(middling.code, Code.ResourceExhausted);
    assert.match(middling.rawMessage, /1503 .*1000/);
    const answer = await failure(all(client.repeat({ count: 1, paddingBytes: 1500 })));
    assert.equal(answer.code, Code.ResourceExhausted);
    assert.match(answer.rawMessage, /RepeatResponse has 1\d{3} bytes.* 1000/);
    assert.equal((await client.echo({ text: "fits" })).text, "fits");
  });
});

describe("cancel, deadline, lost connection", () => {
  test("a cancelled unary call aborts the handler's signal with CANCELED", async (t) => {
    const { address, echo } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const stop = new AbortController();
    const call = failure(client.echo({ behaviour: Behaviour.HANG }, { signal: stop.signal }));
    await until(() => echo.called(), "the call has come");
    stop.abort();
    assert.equal((await call).code, Code.Canceled);
    const { signal } = echo.context();
    await until(() => signal.aborted, "the handler's signal is aborted");
    assert.equal(ConnectError.from(signal.reason).code, Code.Canceled);
  });

  test("a passed deadline ends the call on both sides", async (t) => {
    const { address, echo } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ behaviour: Behaviour.HANG }, { timeoutMs: 100 }));
    assert.equal(error.code, Code.DeadlineExceeded);
    const { signal } = echo.context();
    await until(() => signal.aborted, "the handler's signal is aborted");
  });

  test("the handler knows how much time is left", async (t) => {
    const { address, echo } = await serveEcho(t);
    const { client } = echoClient(t, address);
    await client.echo({}, { timeoutMs: 5000 });
    const left = echo.context().timeoutMs();
    assert.ok(left !== undefined && left > 3000 && left <= 5000, String(left));
    await client.echo({}, { timeoutMs: 0 });
    assert.equal(echo.context().timeoutMs(), undefined);
  });

  test("a unary call has a deadline unless it says otherwise", async (t) => {
    const { address } = await serveEcho(t);
    const { client } = echoClient(t, address, { defaultTimeoutMs: 100 });
    const error = await failure(client.echo({ behaviour: Behaviour.HANG }));
    assert.equal(error.code, Code.DeadlineExceeded);
  });

  test("the server's own limit ends a unary call", async (t) => {
    const { address, echo } = await serveEcho(t, { maxUnaryMs: 100 });
    const { client } = echoClient(t, address);
    const error = await failure(client.echo({ behaviour: Behaviour.HANG }));
    assert.equal(error.code, Code.DeadlineExceeded);
    assert.match(error.rawMessage, /100 ms/);
    assert.ok(echo.context().signal.aborted);
  });

  test("a cancelled stream ends its handler, also one that waits for requests", async (t) => {
    const { address, echo } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const stop = new AbortController();
    async function* silent() {
      yield { text: "first" };
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
    }
    const answers = client.converse(silent(), { signal: stop.signal })[Symbol.asyncIterator]();
    assert.equal((await answers.next()).value.text, "first");
    assert.equal(echo.running(), 1);
    stop.abort();
    assert.equal((await failure(answers.next())).code, Code.Canceled);
    await until(() => echo.running() === 0, "the handler has ended");
  });

  test("a handler that does not read is told of a cancel too", async (t) => {
    const { log } = createTestLog();
    let signal: AbortSignal | undefined;
    let ended = false;
    const server = createRpcServer({ name: "deaf", log }).add(EchoService, {
      async collect(_requests, context) {
        signal = context.signal;
        await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        ended = true;
        return {};
      },
    });
    const { client } = echoClient(t, await server.listen("127.0.0.1:0"));
    t.after(() => server.drain());
    const stop = new AbortController();
    async function* flood() {
      for (;;) yield { text: "x".repeat(16 << 10) };
    }
    const call = failure(client.collect(flood(), { signal: stop.signal }));
    await until(() => signal !== undefined, "the call has come");
    stop.abort();
    assert.equal((await call).code, Code.Canceled);
    await until(() => ended, "the handler has ended");
  });

  test("how a call ended is in the log, each at its level", async (t) => {
    const { address, lines } = await serveEcho(t);
    const { client } = echoClient(t, address);
    await client.echo({});
    await failure(client.echo({ behaviour: Behaviour.FAIL }));
    await failure(client.echo({ behaviour: Behaviour.THROW }));
    await all(client.repeat({ count: 2 }));
    const stop = new AbortController();
    const answers = client.repeat({ paddingBytes: 100 }, { signal: stop.signal });
    await answers[Symbol.asyncIterator]().next();
    stop.abort();
    const ends = () => lines.filter(({ msg }) => msg === "call");
    await until(() => ends().length === 5, "five calls are logged");
    const debug = 20;
    const info = 30;
    const warn = 40;
    assert.deepEqual(
      ends().map(({ level, code }) => [level, code]),
      [
        [debug, "ok"],
        [info, "FailedPrecondition"],
        [warn, "Internal"],
        [debug, "ok"],
        [debug, "Canceled"],
      ],
    );
    const [first] = ends();
    assert.match(String(first?.peer), /^127\.0\.0\.1:\d+$/);
    assert.equal(typeof first?.ms, "number");
    assert.match(String(first?.call), /-/);
  });

  test("a slow reader slows the handler down instead of filling memory", async (t) => {
    const { address, echo } = await serveEcho(t);
    const { client } = echoClient(t, address);
    const stop = new AbortController();
    const options = { signal: stop.signal };
    const request = { paddingBytes: 16 << 10 };
    const answers = client.repeat(request, options)[Symbol.asyncIterator]();
    for (let i = 0; i < 5; i++) await answers.next();
    let before = -1;
    let still = 0;
    await until(() => {
      still = echo.produced() === before ? still + 1 : 0;
      before = echo.produced();
      return still > 20;
    }, "the handler waits");
    assert.ok(echo.produced() < 100, `${echo.produced()} messages were made for 5 read`);
    for (let i = 0; i < 200; i++) await answers.next();
    assert.ok(echo.produced() >= 205);
    stop.abort();
    await until(() => echo.running() === 0, "the handler has ended");
  });

  test("a slow handler slows the client down", async (t) => {
    const { log } = createTestLog();
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const server = createRpcServer({ name: "slow", log }).add(EchoService, {
      async collect(requests) {
        await gate;
        return { count: (await all(requests)).length };
      },
    });
    const address = await server.listen("127.0.0.1:0");
    t.after(() => server.drain());
    const { client } = echoClient(t, address);
    let sent = 0;
    async function* flood() {
      for (; sent < 300; sent++) yield { text: "x".repeat(16 << 10) };
    }
    const call = client.collect(flood());
    let before = -1;
    let still = 0;
    await until(() => {
      still = sent === before ? still + 1 : 0;
      before = sent;
      return still > 20 && sent > 0;
    }, "the client waits");
    assert.ok(sent < 100, `${sent} messages were taken by a server that reads none`);
    go();
    assert.equal((await call).count, 300);
  });

  test("a lost connection aborts the handlers' signals and fails the client's calls", async (t) => {
    const { address, echo } = await serveEcho(t);
    const proxy = await lossyProxy(t, address);
    const { client } = echoClient(t, proxy.address);
    async function* silent() {
      yield { text: "first" };
      await new Promise(() => {});
    }
    const answers = client.converse(silent())[Symbol.asyncIterator]();
    await answers.next();
    const { signal } = echo.context();
    proxy.cut();
    assert.equal((await failure(answers.next())).code, Code.Unavailable);
    await until(() => signal.aborted && echo.running() === 0, "the handler has ended");
    assert.equal(ConnectError.from(signal.reason).code, Code.Canceled);
  });
});

test("raw HTTP that is no gRPC does no harm", async (t) => {
  const { address } = await serveEcho(t);
  const port = Number(address.split(":")[1]);
  const socket = connect(port, "127.0.0.1");
  socket.end("GET / HTTP/1.1\r\n\r\n");
  await new Promise((resolve) => socket.on("close", resolve).resume());
  const { client } = echoClient(t, address);
  assert.equal((await client.echo({ text: "well" })).text, "well");
});
