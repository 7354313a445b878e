import assert from "node:assert/strict";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import {
  Channel,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
  type sendUnaryData,
} from "@grpc/grpc-js";
import {
  Behaviour,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
} from "@howdah/proto/howdah/rpc/test/v1/echo";
import { callStreamHeader, notTakenTrailer } from "./call-stream.js";
import { createTestLog, echoClient, serveEcho, until } from "./echo-fixture.js";
import { lossyProxy } from "./lossy-proxy-fixture.js";
import { createRpcServer } from "./server.js";
import { createRpcTransport, type RpcTransportOptions } from "./transport.js";

/** A client that keeps its streams, how many it has opened, and of how many it has ended the requests. */
function keepingClient(
  t: TestContext,
  address: string,
  options: Partial<RpcTransportOptions> = {},
) {
  const { createCall } = Channel.prototype;
  const ends: { callCount(): number }[] = [];
  t.mock.method(Channel.prototype, "createCall", function (this: Channel, ...how: CallOptions) {
    const call = createCall.apply(this, how);
    ends.push(t.mock.method(call, "halfClose").mock);
    return call;
  });
  const made = echoClient(t, address, { keepStreams: true, ...options });
  return {
    ...made,
    opened: () => ends.length,
    ended: () => ends.filter((end) => end.callCount() === 1).length,
  };
}

type CallOptions = Parameters<Channel["createCall"]>;

/** Holds the timers that are set for so long, from now on, until the test lets them pass. */
function hold(t: TestContext, ms: number) {
  const held = new Map<NodeJS.Timeout, () => void>();
  const { setTimeout, clearTimeout } = globalThis;
  t.mock.method(globalThis, "setTimeout", (run: () => void, afterMs?: number) => {
    if (afterMs !== ms) return setTimeout(run, afterMs);
    const timer = setTimeout(() => {}, 100_000);
    held.set(timer, run);
    return timer;
  });
  t.mock.method(globalThis, "clearTimeout", (timer: NodeJS.Timeout) => {
    held.delete(timer);
    clearTimeout(timer);
  });
  return {
    /** How many are set now. They keep no process. */
    count() {
      for (const timer of held.keys()) assert.equal(timer.hasRef(), false);
      return held.size;
    },
    pass() {
      for (const [timer, run] of [...held]) {
        globalThis.clearTimeout(timer);
        run();
      }
    },
  };
}

const code = (expected: Code) => (error: unknown) => {
  assert.ok(error instanceof ConnectError);
  assert.equal(Code[error.code], Code[expected], error.rawMessage);
  return true;
};

const echoPath = `/${EchoService.typeName}/Echo`;
const bytes = (raw: Buffer) => raw;

/** A bare server of Echo that is told each request of each stream, counted from 0. */
function bareServer(
  t: TestContext,
  told: (stream: ServerDuplexStream<Buffer, Buffer>, count: number) => void,
): Promise<string> {
  const server = new Server();
  let count = 0;
  server.register<Buffer, Buffer>(
    echoPath,
    (stream: ServerDuplexStream<Buffer, Buffer>) => {
      stream.on("data", () => told(stream, count++));
    },
    bytes,
    bytes,
    "bidi",
  );
  return listen(t, server);
}

function listen(t: TestContext, server: Server): Promise<string> {
  t.after(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(`127.0.0.1:${port}`);
      else reject(error);
    });
  });
}

/** Ends a stream as a server does that shuts down before it has looked at a request. */
function refuse(stream: ServerDuplexStream<Buffer, Buffer>): void {
  const metadata = new Metadata();
  metadata.set(notTakenTrailer, "1");
  stream.emit("error", { code: Code.Unavailable, details: "echo is shutting down", metadata });
}

test("calls one after the other go over one stream, each with an id and a line of its own, and are each observed", async (t) => {
  const seen: string[] = [];
  const observe: Interceptor = (next) => (request) => {
    seen.push(request.method.name);
    return next(request);
  };
  const { address, lines } = await serveEcho(t, { observe });
  const { client, opened } = keepingClient(t, address);
  const ids = new Set<string>();
  for (let i = 0; i < 5; i++) {
    const { text } = await client.echo({ behaviour: Behaviour.DESCRIBE_CALLER });
    ids.add(text.split("\n")[2] ?? "");
  }
  assert.equal(ids.size, 5);
  assert.equal(opened(), 1);
  assert.deepEqual(seen, Array(5).fill("Echo"));
  assert.deepEqual(
    lines.filter(({ msg }) => msg === "call").map(({ call }) => call),
    [...ids],
  );
});

test("calls at the same time have a stream each, of which eight are kept", async (t) => {
  const { address } = await serveEcho(t);
  const { client, opened } = keepingClient(t, address);
  const all = async () => {
    const texts = Array.from({ length: 20 }, (_, at) => String(at));
    const answers = await Promise.all(texts.map((text) => client.echo({ text })));
    assert.deepEqual(
      answers.map(({ text }) => text),
      texts,
    );
  };
  await all();
  assert.equal(opened(), 20);
  await all();
  assert.equal(opened(), 32);
});

test("a call with headers or a deadline of its own goes by itself, and its server is told of them", async (t) => {
  const { address, echo } = await serveEcho(t);
  const { client, opened } = keepingClient(t, address);
  await client.echo({}, { headers: { "x-call-id": "trace.1" } });
  assert.equal(echo.context().requestHeader.get("x-call-id"), "trace.1");
  assert.equal(echo.context().requestHeader.get(callStreamHeader), null);
  await client.echo({}, { timeoutMs: 5_000 });
  const leftMs = echo.context().timeoutMs();
  assert.ok(leftMs !== undefined && leftMs <= 5_000);
  assert.equal(opened(), 2);
});

test("an error ends its call with all it says, and the next call is well", async (t) => {
  const { address } = await serveEcho(t);
  const { client, opened } = keepingClient(t, address);
  assert.equal((await client.echo({ text: "before" })).text, "before");
  await assert.rejects(client.echo({ text: "x", behaviour: Behaviour.FAIL }), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.rawMessage, "asked to fail: 100% sure, ü");
    assert.equal(error.details.length, 1);
    return true;
  });
  await assert.rejects(client.echo({ behaviour: Behaviour.THROW }), code(Code.Internal));
  assert.equal((await client.echo({ text: "after" })).text, "after");
  assert.equal(opened(), 3);
});

test("an abort, and the deadline, cancel the call and its handler, and the next call is well", async (t) => {
  const { address, echo } = await serveEcho(t);
  const { client } = keepingClient(t, address);
  const { client: hasty } = keepingClient(t, address, { defaultTimeoutMs: 20 });
  await client.echo({});
  const stop = new AbortController();
  const before = echo.context();
  const hanging = client.echo({ behaviour: Behaviour.HANG }, { signal: stop.signal });
  await until(() => echo.context() !== before, "the call has come");
  stop.abort();
  await assert.rejects(hanging, code(Code.Canceled));
  const cancelled = echo.context().signal;
  await until(() => cancelled.aborted, "the handler's signal is aborted");
  await assert.rejects(hasty.echo({ behaviour: Behaviour.HANG }), code(Code.DeadlineExceeded));
  const late = echo.context().signal;
  await until(() => late.aborted, "the handler's signal is aborted too");
  await assert.rejects(client.echo({}, { signal: AbortSignal.abort() }), code(Code.Canceled));
  assert.equal((await client.echo({ text: "after" })).text, "after");
});

test("a call that has ended leaves no listener on its caller's signal", async (t) => {
  const { address } = await serveEcho(t);
  const { client } = keepingClient(t, address);
  const { signal } = new AbortController();
  const removed = t.mock.method(signal, "removeEventListener");
  const added = t.mock.method(signal, "addEventListener");
  await client.echo({}, { signal });
  await assert.rejects(client.echo({ behaviour: Behaviour.FAIL }, { signal }), ConnectError);
  assert.ok(added.mock.callCount() > 0);
  assert.equal(removed.mock.callCount(), added.mock.callCount());
});

test("a message that is too large is refused before it is sent, and an answer that cannot be read is an error", async (t) => {
  const { address } = await serveEcho(t);
  const { client, opened } = keepingClient(t, address, { maxMessageBytes: 1000 });
  await client.echo({});
  const text = "x".repeat(1001);
  await assert.rejects(client.echo({ text }), code(Code.ResourceExhausted));
  assert.equal((await client.echo({ text: "after" })).text, "after");
  assert.equal(opened(), 1);
  const garbage = await bareServer(t, (stream) => stream.write(Buffer.from("garbage")));
  await assert.rejects(keepingClient(t, garbage).client.echo({}), code(Code.InvalidArgument));
});

test("a stream that is a minute old takes no further call", async (t) => {
  const { address } = await serveEcho(t);
  const { client, opened } = keepingClient(t, address);
  await client.echo({});
  const now = performance.now();
  const clock = t.mock.method(performance, "now", () => now + 59_000);
  await client.echo({});
  assert.equal(opened(), 1);
  clock.mock.mockImplementation(() => now + 61_000);
  await client.echo({});
  assert.equal(opened(), 2);
});

test("streams that rest are ended within two minutes, by one timer that goes on for as long as any rests", async (t) => {
  const sweep = hold(t, 60_000);
  const { address } = await serveEcho(t);
  const { client, opened, ended } = keepingClient(t, address);
  assert.equal(sweep.count(), 0);
  const now = performance.now();
  const clock = t.mock.method(performance, "now", () => now);
  await Promise.all([client.echo({}), client.echo({})]);
  clock.mock.mockImplementation(() => now + 40_000);
  await Promise.all([client.echo({}), client.echo({}), client.echo({})]);
  assert.equal(sweep.count(), 1);
  assert.deepEqual([opened(), ended()], [3, 0]);
  clock.mock.mockImplementation(() => now + 61_000);
  sweep.pass();
  assert.deepEqual([ended(), sweep.count()], [2, 1]);
  clock.mock.mockImplementation(() => now + 121_000);
  sweep.pass();
  assert.deepEqual([ended(), sweep.count()], [3, 0]);
  await client.echo({});
  assert.deepEqual([opened(), sweep.count()], [4, 1]);
});

test("a stream whose request or answer is larger than 64 KiB is ended: what it has carried stays with it", async (t) => {
  const answerOf = (length: number) => {
    const message = create(EchoResponseSchema, { text: "x".repeat(length) });
    return Buffer.from(toBinary(EchoResponseSchema, message));
  };
  let answer = answerOf(65_000);
  const address = await bareServer(t, (stream) => stream.write(answer));
  const { client, opened, ended } = keepingClient(t, address);
  await client.echo({ text: "x".repeat(65_000) });
  await client.echo({ text: "x".repeat(66_000) });
  assert.deepEqual([opened(), ended()], [1, 1]);
  await client.echo({});
  assert.deepEqual([opened(), ended()], [2, 1]);
  answer = answerOf(66_000);
  await client.echo({});
  assert.deepEqual([opened(), ended()], [2, 2]);
});

/** A server whose Echo answers "wait" when told to. */
async function serveGate(t: TestContext) {
  const { log } = createTestLog();
  let entered = 0;
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const server = createRpcServer({ name: "gate", log, drainGraceMs: 20_000 }).add(EchoService, {
    async echo({ text }) {
      entered += 1;
      if (text === "wait") await gate;
      return { text };
    },
  });
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  return { server, address, entered: () => entered, open: () => open() };
}

test("a server that answers at the end of the requests only, as older ones do, hears of it after a second", async (t) => {
  const server = new Server();
  let called = 0;
  server.register<Buffer, Buffer>(
    echoPath,
    (_: unknown, answer: sendUnaryData<Buffer>) => {
      called += 1;
      answer(null, Buffer.alloc(0));
    },
    bytes,
    bytes,
    "unary",
  );
  const wait = hold(t, 1_000);
  const { client, opened } = keepingClient(t, await listen(t, server), { defaultTimeoutMs: 5_000 });
  for (const nth of [1, 2]) {
    const call = client.echo({});
    await until(() => wait.count() === 1, "the call waits");
    wait.pass();
    assert.equal((await call).text, "");
    assert.deepEqual([called, opened(), wait.count()], [nth, nth, 0]);
  }
});

test("a call that takes longer than that is answered once, and its stream is not kept", async (t) => {
  const wait = hold(t, 1_000);
  const { address, entered, open } = await serveGate(t);
  const { client, opened, ended } = keepingClient(t, address);
  const call = client.echo({ text: "wait" });
  await until(() => entered() === 1, "the call has come");
  wait.pass();
  assert.equal(ended(), 1);
  // Goes over the same connection, and so is answered after that end was heard of.
  await client.echo({});
  open();
  assert.equal((await call).text, "wait");
  assert.deepEqual([opened(), entered()], [2, 2]);
  await Promise.all([client.echo({}), client.echo({})]);
  assert.deepEqual([opened(), entered()], [3, 4]);
});

test("a stream that was answered once stays open however long a call takes", async (t) => {
  const wait = hold(t, 1_000);
  const { address, entered, open } = await serveGate(t);
  const { client, opened, ended } = keepingClient(t, address);
  await client.echo({});
  assert.equal(wait.count(), 0);
  const call = client.echo({ text: "wait" });
  await until(() => entered() === 2, "the call has come");
  assert.equal(wait.count(), 0);
  open();
  await call;
  assert.deepEqual([opened(), ended()], [1, 0]);
});

test("a call whose requests have ended can be cancelled, and no call that has ended waits", async (t) => {
  const wait = hold(t, 1_000);
  const { address, echo } = await serveEcho(t);
  const { client, ended } = keepingClient(t, address);
  const stop = new AbortController();
  const hanging = client.echo({ behaviour: Behaviour.HANG }, { signal: stop.signal });
  await until(() => echo.called(), "the call has come");
  wait.pass();
  assert.equal(ended(), 1);
  const { signal } = echo.context();
  stop.abort();
  await assert.rejects(hanging, code(Code.Canceled));
  await until(() => signal.aborted, "the handler's signal is aborted");
  await assert.rejects(client.echo({ behaviour: Behaviour.FAIL }), code(Code.FailedPrecondition));
  assert.equal(wait.count(), 0);
});

test("a drain answers a call whose requests have ended, and one that was not looked at is made again", async (t) => {
  const wait = hold(t, 1_000);
  const { server, address, entered, open } = await serveGate(t);
  const { client, opened } = keepingClient(t, address);
  const call = client.echo({ text: "wait" });
  await until(() => entered() === 1, "the call has come");
  wait.pass();
  const drained = server.drain();
  await until(() => server.health.get("") === false, "the drain has begun");
  open();
  assert.equal((await call).text, "wait");
  await drained;
  assert.deepEqual([opened(), entered()], [1, 1]);

  const refusing = await bareServer(t, (stream, count) => {
    if (count > 0) stream.write(Buffer.alloc(0));
    else stream.on("end", () => refuse(stream));
  });
  const again = keepingClient(t, refusing);
  const late = again.client.echo({});
  await until(() => wait.count() === 1, "the call waits");
  wait.pass();
  assert.equal((await late).text, "");
  assert.equal(again.opened(), 2);
});

test("a drain ends streams without a call at once, and the others when their call is answered", async (t) => {
  const { server, address, entered, open } = await serveGate(t);
  const { client } = keepingClient(t, address);
  const waiting = client.echo({ text: "wait" });
  await Promise.all([client.echo({}), client.echo({})]);
  await until(() => entered() === 3, "all calls have come");
  const startedAt = performance.now();
  const drained = server.drain();
  await until(() => server.health.get("") === false, "the drain has begun");
  open();
  assert.equal((await waiting).text, "wait");
  await drained;
  assert.ok(performance.now() - startedAt < 10_000, "nothing had to be cut off");
  await assert.rejects(client.echo({}), code(Code.Unavailable));
});

test("a call that the grace of a drain is too short for ends with UNAVAILABLE", async (t) => {
  const { server, address, echo } = await serveEcho(t, { drainGraceMs: 100 });
  const { client } = keepingClient(t, address);
  const call = client.echo({ behaviour: Behaviour.HANG });
  const ended = assert.rejects(call, code(Code.Unavailable));
  await until(() => echo.called(), "the call has come");
  await server.drain();
  await ended;
  assert.ok(echo.context().signal.aborted);
});

test("a call that a server did not look at is made again, three times at most", async (t) => {
  const answered = await bareServer(t, (stream, count) => {
    if (count === 0) refuse(stream);
    else stream.write(Buffer.alloc(0));
  });
  const { client, opened } = keepingClient(t, answered);
  assert.equal((await client.echo({})).text, "");
  assert.equal(opened(), 2);

  const { client: refused } = keepingClient(t, await bareServer(t, refuse));
  const before = opened();
  await assert.rejects(refused.echo({}), (error) => {
    assert.equal(ConnectError.from(error).rawMessage, "echo is shutting down");
    return code(Code.Unavailable)(error);
  });
  assert.equal(opened() - before, 3);
});

test("a stream that ends without an answer is an error, and so is a lost connection", async (t) => {
  const silent = await bareServer(t, (stream) => stream.end());
  await assert.rejects(keepingClient(t, silent).client.echo({}), code(Code.Unimplemented));

  const { address, echo } = await serveEcho(t);
  const proxy = await lossyProxy(t, address);
  const { client, transport } = keepingClient(t, proxy.address);
  await client.echo({});
  const before = echo.context();
  const lost = client.echo({ behaviour: Behaviour.HANG });
  await until(() => echo.context() !== before, "the call has come");
  proxy.cut();
  await assert.rejects(lost, code(Code.Unavailable));
  const { signal } = echo.context();
  await until(() => signal.aborted, "the handler hears of it");
  transport.close();
  await assert.rejects(client.echo({}), code(Code.Unavailable));
});

test("closing the transport ends the call that goes on", async (t) => {
  const { address, echo } = await serveEcho(t);
  const transport = createRpcTransport({ address, ownConnection: true, keepStreams: true });
  const client = createClient(EchoService, transport);
  await client.echo({});
  const before = echo.context();
  const call = client.echo({ behaviour: Behaviour.HANG });
  await until(() => echo.context() !== before, "the call has come");
  transport.close();
  await assert.rejects(call, code(Code.Canceled));
});

/** Opens a stream of calls without a client of ours. */
function rawStream(t: TestContext, address: string) {
  const Client = makeGenericClientConstructor({}, "echo");
  const client = new Client(address, credentials.createInsecure());
  t.after(() => client.close());
  const metadata = new Metadata();
  metadata.set(callStreamHeader, "1");
  const stream = client.makeBidiStreamRequest(echoPath, bytes, bytes, metadata);
  const failed = new Promise<ServiceError>((resolve) => {
    stream.on("error", (error) => resolve(error as ServiceError));
  });
  return { stream, failed };
}

test("a request that does not wait for the answer before it ends the stream", async (t) => {
  const { address } = await serveEcho(t);
  const { stream, failed } = rawStream(t, address);
  stream.on("data", () => {});
  const hang = create(EchoRequestSchema, { behaviour: Behaviour.HANG });
  stream.write(Buffer.from(toBinary(EchoRequestSchema, hang)));
  stream.write(Buffer.alloc(0));
  const ended = await failed;
  assert.equal(ended.code, Code.Unimplemented);
  assert.match(ended.details, /a request before the one before it was answered/);
});

test("a server that shuts down says that it has not looked at more than it answered", async (t) => {
  const { server, address } = await serveEcho(t);
  const { stream, failed } = rawStream(t, address);
  stream.write(Buffer.alloc(0));
  await once(stream, "data");
  const drained = server.drain();
  const { code: ended, metadata } = await failed;
  assert.equal(ended, Code.Unavailable);
  assert.deepEqual(metadata.get(notTakenTrailer), ["1"]);
  await drained;
});
