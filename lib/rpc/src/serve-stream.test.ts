import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import {
  type ConverseRequest,
  type ConverseRequestSchema,
  type ConverseResponseSchema,
  EchoService,
  ConverseResponseSchema as Response,
} from "@howdah/proto/howdah/rpc/test/v1/echo";
import { all, createTestLog, echoClient, holdShutdown, until } from "./echo-fixture.js";
import { lossyProxy } from "./lossy-proxy-fixture.js";
import type { ServedStream, StreamListener } from "./served-stream.js";
import { createRpcServer, type RpcServerOptions } from "./server.js";
import { peerSilentMs } from "./silent-peer.js";

type Served = ServedStream<typeof ConverseResponseSchema>;

/** What a listener was told, in order, and what it does about it. */
class Told implements StreamListener<typeof ConverseRequestSchema> {
  readonly events: string[] = [];
  reason: ConnectError | undefined;

  constructor(
    readonly stream: Served,
    private readonly onMessage: (text: string, told: Told) => void,
  ) {
    stream.read();
  }

  say(text: string): boolean {
    return this.stream.send(create(Response, { text }));
  }

  message({ text }: ConverseRequest): void {
    this.events.push(text);
    this.onMessage(text, this);
  }

  requestsEnded(): void {
    this.events.push("requests ended");
    this.stream.end();
  }

  writable(): void {
    this.events.push("writable");
  }

  over(reason: ConnectError): void {
    this.events.push("over");
    this.reason = reason;
  }
}

function echo(text: string, told: Told): void {
  told.say(text);
  told.stream.read();
}

async function serve(t: TestContext, options: Partial<RpcServerOptions> = {}, onMessage = echo) {
  const { log, lines } = createTestLog();
  const served: Told[] = [];
  const server = createRpcServer({ name: "echo", log, drainGraceMs: 200, ...options })
    .add(EchoService, {})
    .serveStream(EchoService.method.converse, (stream) => {
      const told = new Told(stream, onMessage);
      served.push(told);
      return told;
    });
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  const only = async () => {
    await until(() => served.length > 0, "a stream is open");
    const [told] = served;
    assert.ok(told);
    return told;
  };
  return { server, address, served, only, lines };
}

/** A client's requests that go on until told otherwise. */
function requests(t: TestContext, ...texts: string[]) {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  t.after(() => end());
  async function* say() {
    for (const text of texts) yield { text };
    await ended;
  }
  return { say, end: () => end() };
}

describe("a stream that is served message by message", () => {
  it("hears messages and the end of the requests in order, and ends as it should", async (t) => {
    const { address, only } = await serve(t);
    const { client } = echoClient(t, address);
    async function* say() {
      for (const text of ["a", "b", "c"]) yield { text };
    }
    const answers: string[] = [];
    for await (const { text } of client.converse(say())) answers.push(text);
    assert.deepEqual(answers, ["a", "b", "c"]);
    assert.deepEqual((await only()).events, ["a", "b", "c", "requests ended", "over"]);
  });

  it("is sent no message that was not asked for", async (t) => {
    const { address, only } = await serve(t, {}, (text, told) => void told.say(text));
    const { client } = echoClient(t, address);
    const { say } = requests(t, "first", "second");
    const stop = new AbortController();
    t.after(() => stop.abort());
    const stream = client.converse(say(), { signal: stop.signal })[Symbol.asyncIterator]();
    const told = await only();
    const one = await stream.next();
    assert.equal(one.value?.text, "first");
    // What came before this answer would have been told before it was.
    told.say("still");
    assert.equal((await stream.next()).value?.text, "still");
    assert.deepEqual(told.events, ["first"]);
    told.stream.read();
    assert.equal((await stream.next()).value?.text, "second");
  });

  it("says when more is on its way than may be, and when more may be sent", async (t) => {
    const { address, only } = await serve(t);
    const { client } = echoClient(t, address);
    const { say } = requests(t, "first");
    const stop = new AbortController();
    t.after(() => stop.abort());
    const stream = client.converse(say(), { signal: stop.signal })[Symbol.asyncIterator]();
    await stream.next();
    const told = await only();
    const text = "x".repeat(10_000);
    let sent = 0;
    while (sent < 100 && told.say(text)) sent += 1;
    assert.ok(sent < 10, `${sent} were taken`);
    for (let n = 0; n <= sent; n += 1) await stream.next();
    await until(() => told.events.includes("writable"), "more may be sent");
    assert.equal(told.say(text), true);
  });

  it("ends with the error that its listener ends it with", async (t) => {
    const { address, only } = await serve(t);
    const { client } = echoClient(t, address);
    const { say } = requests(t, "first", "second");
    const stream = client.converse(say())[Symbol.asyncIterator]();
    await stream.next();
    const told = await only();
    told.stream.end(new ConnectError("enough", Code.Aborted));
    assert.equal(told.say("too late"), false);
    await assert.rejects(
      stream.next(),
      (error) =>
        error instanceof ConnectError &&
        error.code === Code.Aborted &&
        error.rawMessage === "enough",
    );
    assert.equal(told.reason?.rawMessage, "enough");
  });

  it("masks what its listener throws, and logs it under the call's id", async (t) => {
    const { address, only, lines } = await serve(t, {}, () => {
      throw new Error("secret of the server");
    });
    const { client } = echoClient(t, address);
    const { say } = requests(t, "first", "second");
    const stream = client.converse(say())[Symbol.asyncIterator]();
    // Asked at once: an answer that nobody waits for yet would be an unhandled rejection.
    const answered = stream.next().then(
      () => undefined,
      (thrown: unknown) => ConnectError.from(thrown),
    );
    const told = await only();
    const error = await answered;
    assert.equal(error?.code, Code.Internal);
    const [, id = "none"] = /^internal error \(call (.+)\)$/.exec(error?.rawMessage ?? "") ?? [];
    const line = lines.find(({ msg }) => msg === "internal error");
    assert.equal(line?.call, id);
    assert.match(JSON.stringify(line), /secret of the server/);
    assert.equal(told.events.at(-1), "over");
  });

  it("is over when its client cancels, and for how long a silent one was", async (t) => {
    const { address, only } = await serve(t, { keepalive: { timeMs: 200, timeoutMs: 100 } });
    const proxy = await lossyProxy(t, address);
    const { client } = echoClient(t, proxy.address);
    const { say } = requests(t, "first");
    const stream = client.converse(say())[Symbol.asyncIterator]();
    await stream.next();
    const told = await only();
    proxy.freeze();
    stream.next().catch(() => {});
    await until(() => told.reason !== undefined, "the stream is over");
    assert.equal(peerSilentMs({ reason: told.reason }), 300);
    assert.equal(told.reason?.code, Code.Canceled);
    assert.deepEqual(told.events, ["first", "over"]);
  });

  it("ends with UNAVAILABLE when the server drains", async (t) => {
    const { server, address, only } = await serve(t);
    const { client } = echoClient(t, address);
    const { say } = requests(t, "first");
    const stream = client.converse(say())[Symbol.asyncIterator]();
    await stream.next();
    const told = await only();
    await Promise.all([
      server.drain(),
      assert.rejects(stream.next(), (error) => ConnectError.from(error).code === Code.Unavailable),
    ]);
    assert.equal(told.reason?.code, Code.Unavailable);
  });

  it("is not opened when it comes while the server drains", async (t) => {
    const observed = t.mock.fn();
    const observe: Interceptor = (next) => (request) => {
      observed();
      return next(request);
    };
    const shutdown = holdShutdown(t);
    for (const options of [{}, { observe }]) {
      const { server, address, served } = await serve(t, options);
      const { client, transport } = echoClient(t, address);
      await transport.waitForReady(5_000);
      const drained = server.drain();
      await shutdown.begun();
      await assert.rejects(all(client.converse(requests(t, "first").say())), (error) => {
        assert.equal(ConnectError.from(error).rawMessage, "echo is shutting down");
        return true;
      });
      assert.equal(served.length, 0);
      shutdown.goOn();
      await drained;
    }
    assert.equal(observed.mock.callCount(), 0);
  });

  it("is seen by the server's interceptors, which may refuse it", async (t) => {
    const seen: string[] = [];
    let refusal: ConnectError | undefined;
    const observe: Interceptor = (next) => async (request) => {
      if (refusal !== undefined) throw refusal;
      seen.push(request.method.name);
      const response = await next(request);
      if (!response.stream) return response;
      const { message } = response;
      async function* watched() {
        try {
          yield* message;
          seen.push("ended");
        } catch (error) {
          seen.push(Code[ConnectError.from(error).code]);
          throw error;
        }
      }
      return { ...response, message: watched() };
    };
    const { address, served } = await serve(t, { observe });
    const { client } = echoClient(t, address);
    const { say, end } = requests(t, "first");
    const stream = client.converse(say())[Symbol.asyncIterator]();
    assert.equal((await stream.next()).value?.text, "first");
    end();
    assert.equal((await stream.next()).done, true);
    await until(() => seen.length === 2, "its end was seen");
    assert.deepEqual(seen, ["Converse", "ended"]);

    const second = client.converse(requests(t, "x").say())[Symbol.asyncIterator]();
    await second.next();
    served[1]?.stream.end(new ConnectError("no more", Code.Aborted));
    await until(() => seen.length === 4, "its failure was seen");
    assert.deepEqual(seen.slice(2), ["Converse", "Aborted"]);

    refusal = new ConnectError("not now", Code.Unavailable);
    const third = client.converse(requests(t, "y").say())[Symbol.asyncIterator]();
    await assert.rejects(
      third.next(),
      (error) => ConnectError.from(error).rawMessage === "not now",
    );
    assert.equal(served.length, 2);
  });

  it("is ended by a message larger than messages may be", async (t) => {
    const { address, only } = await serve(t, { maxMessageBytes: 1_000 });
    const { client } = echoClient(t, address);
    const { say } = requests(t, "first");
    const stream = client.converse(say())[Symbol.asyncIterator]();
    await stream.next();
    const told = await only();
    assert.equal(told.say("x".repeat(2_000)), false);
    await assert.rejects(
      stream.next(),
      (error) => ConnectError.from(error).code === Code.ResourceExhausted,
    );
  });
});
