import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http2";
import { describe, type TestContext, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport } from "@connectrpc/connect-node";
import { credentials, Client as RawClient, type ServiceError, status } from "@grpc/grpc-js";
import {
  Behaviour,
  CollectResponseSchema,
  ConverseRequestSchema,
  ConverseResponseSchema,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
  RepeatRequestSchema,
  RepeatResponseSchema,
} from "@howdah/proto/howdah/rpc/test/v1/echo";
import {
  all,
  createEcho,
  createTestLog,
  each,
  echoClient,
  serveEcho,
  until,
} from "./echo-fixture.js";
import { peerContextValues } from "./node-peer.js";
import { createServerInterceptors } from "./server-interceptors.js";

/** What must hold whoever serves and whoever calls. */
async function talk(client: Client<typeof EchoService>): Promise<void> {
  assert.equal((await client.echo({ text: "hello" })).text, "hello");
  const repeated = await all(client.repeat({ text: "r", count: 50, paddingBytes: 5000 }));
  assert.deepEqual([repeated.length, repeated[49]?.number], [50, 49]);
  assert.equal((await client.collect(each({ text: "a" }, { text: "b" }))).text, "a b");
  const answers = await all(client.converse(each({ text: "é" }, { text: "漢" })));
  assert.deepEqual(
    answers.map(({ text }) => text),
    ["é", "漢"],
  );

  await assert.rejects(client.echo({ text: "d", behaviour: Behaviour.FAIL }), (error) => {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.rawMessage, "asked to fail: 100% sure, ü");
    assert.equal(error.findDetails(EchoRequestSchema)[0]?.text, "d");
    return true;
  });
  await assert.rejects(
    client.echo({ behaviour: Behaviour.THROW }, { headers: { "x-call-id": "inter-1" } }),
    (error) => {
      assert.ok(error instanceof ConnectError);
      assert.deepEqual(
        [error.code, error.rawMessage],
        [Code.Internal, "internal error (call inter-1)"],
      );
      return true;
    },
  );
  await assert.rejects(
    client.echo({ behaviour: Behaviour.HANG }, { timeoutMs: 100 }),
    (error) => ConnectError.from(error).code === Code.DeadlineExceeded,
  );
  await assert.rejects(
    client.echo({ behaviour: Behaviour.HANG }, { signal: AbortSignal.timeout(50) }),
    (error) => ConnectError.from(error).code === Code.Canceled,
  );
}

/** The echo service on connect-node, gRPC over plaintext HTTP/2, with the interceptors of this package. */
async function serveOnConnectNode(t: TestContext) {
  const { log, lines } = createTestLog();
  const echo = createEcho();
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => router.service(EchoService, echo.impl),
      interceptors: createServerInterceptors({ log }),
      contextValues: peerContextValues,
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return { address: `127.0.0.1:${bound.port}`, echo, lines };
}

function connectNodeClient(t: TestContext, address: string): Client<typeof EchoService> {
  const stop = new AbortController();
  t.after(() => stop.abort());
  return createClient(
    EchoService,
    createGrpcTransport({
      baseUrl: `http://${address}`,
      nodeOptions: {},
      idleConnectionTimeoutMs: 100,
    }),
  );
}

describe("who talks to whom", () => {
  test("our client, our server", async (t) => {
    const { address } = await serveEcho(t);
    await talk(echoClient(t, address).client);
  });

  test("a connect-node client, our server", async (t) => {
    const { address } = await serveEcho(t);
    await talk(connectNodeClient(t, address));
  });

  test("our client, a connect-node server with our interceptors", async (t) => {
    const { address, lines } = await serveOnConnectNode(t);
    const { client } = echoClient(t, address);
    await talk(client);
    const answer = await client.echo({ behaviour: Behaviour.DESCRIBE_CALLER });
    assert.match(answer.text, /^127\.0\.0\.1:\d+\nnobody\n[0-9a-f]{12}-[0-9a-z]+$/);
    const line = lines.find(({ call }) => call === answer.text.split("\n")[2]);
    assert.equal(line?.method, "howdah.rpc.test.v1.EchoService/Echo");
    assert.equal(line.code, "ok");
  });

  test("a bare grpc-js client, our server", async (t) => {
    const { address } = await serveEcho(t);
    const raw = new RawClient(address, credentials.createInsecure());
    t.after(() => raw.close());
    const path = "/howdah.rpc.test.v1.EchoService/";
    const unary = (behaviour: Behaviour) =>
      new Promise<string>((resolve, reject) => {
        raw.makeUnaryRequest(
          `${path}Echo`,
          (text: string) =>
            Buffer.from(
              toBinary(EchoRequestSchema, create(EchoRequestSchema, { text, behaviour })),
            ),
          (bytes) => fromBinary(EchoResponseSchema, bytes).text,
          "raw",
          (error, answer) => (error ? reject(error) : resolve(answer ?? "")),
        );
      });
    assert.equal(await unary(Behaviour.UNSPECIFIED), "raw");
    await assert.rejects(unary(Behaviour.FAIL), (error: ServiceError) => {
      assert.equal(error.code, status.FAILED_PRECONDITION);
      assert.equal(error.details, "asked to fail: 100% sure, ü");
      assert.ok(error.metadata.get("grpc-status-details-bin").length > 0);
      return true;
    });
    const stream = raw.makeServerStreamRequest(
      `${path}Repeat`,
      (count: number) =>
        Buffer.from(toBinary(RepeatRequestSchema, create(RepeatRequestSchema, { count }))),
      (bytes) => fromBinary(RepeatResponseSchema, bytes).number,
      5,
    );
    assert.deepEqual(await all<number>(stream), [0, 1, 2, 3, 4]);
    const say = (text: string) =>
      Buffer.from(toBinary(ConverseRequestSchema, create(ConverseRequestSchema, { text })));
    const collected = await new Promise<string>((resolve, reject) => {
      const call = raw.makeClientStreamRequest(
        `${path}Collect`,
        say, // CollectRequest looks the same on the wire
        (bytes) => fromBinary(CollectResponseSchema, bytes).text,
        (error, answer) => (error ? reject(error) : resolve(answer ?? "")),
      );
      call.write("a");
      call.write("b");
      call.end();
    });
    assert.equal(collected, "a b");
    const conversation = raw.makeBidiStreamRequest(
      `${path}Converse`,
      say,
      (bytes) => fromBinary(ConverseResponseSchema, bytes).text,
    );
    conversation.write("1");
    conversation.write("2");
    conversation.end();
    assert.deepEqual(await all<string>(conversation), ["1", "2"]);
  });

  test("a connect-node client that goes away ends our handler", async (t) => {
    const { address, echo } = await serveEcho(t);
    const client = connectNodeClient(t, address);
    const stop = new AbortController();
    const answers = client.repeat({ paddingBytes: 100 }, { signal: stop.signal });
    await answers[Symbol.asyncIterator]().next();
    stop.abort();
    await until(() => echo.running() === 0, "the handler has ended");
    assert.equal(ConnectError.from(echo.context().signal.reason).code, Code.Canceled);
  });
});
