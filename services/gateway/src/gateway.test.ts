import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Health, HealthCheckResponse_ServingStatus } from "@howdah/proto/grpc/health/v1/health";
import { EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcServer } from "@howdah/rpc/server";
import { pino } from "pino";
import { startInner, startTestGateway } from "./gateway-fixture.js";

const run = promisify(execFile);
const buf = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error = await promise.then(
    () => assert.fail("did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

function transports(baseUrl: string): Record<string, Transport> {
  return {
    "Connect over HTTP/1.1": createConnectTransport({ baseUrl, httpVersion: "1.1" }),
    "Connect over HTTP/2": createConnectTransport({ baseUrl, httpVersion: "2" }),
    "gRPC-Web over HTTP/1.1": createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
    "gRPC-Web over HTTP/2": createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
    "gRPC over HTTP/2": createGrpcTransport({ baseUrl }),
  };
}

describe("gateway", () => {
  it("forwards unary calls, streams both ways and errors over every protocol", async (t) => {
    const { address, seen } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    for (const [name, transport] of Object.entries(transports(url))) {
      await t.test(name, async () => {
        const { hosts } = await createClient(FleetService, transport).listHosts({});
        assert.equal(hosts[0]?.hostName, "web-1");

        const error = await failure(
          createClient(FleetService, transport).getHost({ hostName: "db-9" }),
        );
        assert.equal(error.code, Code.NotFound);
        assert.equal(error.rawMessage, 'there is no host "db-9"');
        assert.equal(error.metadata.get("x-inner"), null);

        const { size } = await createClient(StackService, transport).putPackage(pieces());
        assert.equal(size, 5n);
        assert.deepEqual(seen.pieces, [2, 3]);

        const progress: number[] = [];
        const watch = createClient(CommandStoreService, transport).watchRequest({ requestId: 2n });
        const ended = await failure(
          (async () => {
            for await (const { request } of watch) progress.push(request?.progressPercent ?? 0);
          })(),
        );
        assert.deepEqual(progress, [1, 2]);
        assert.equal(ended.code, Code.Aborted);
      });
    }
  });

  it("forwards bidirectional streams", async (t) => {
    const { address } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    const client = createClient(EchoService, createGrpcTransport({ baseUrl: url }));
    const said: string[] = [];
    for await (const { text } of client.converse(words())) said.push(text);
    assert.deepEqual(said, ["one", "two"]);
  });

  it("passes on the caller's deadline and call id", async (t) => {
    const { address, seen } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    const client = createClient(
      FleetService,
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    );
    await client.listHosts({}, { timeoutMs: 5_000, headers: { "x-call-id": "abc" } });
    assert.ok(seen.timeoutMs !== undefined && seen.timeoutMs <= 5_000, `${seen.timeoutMs}`);
    assert.equal(seen.callId, "abc");
    const late = await failure(client.getCluster({}, { timeoutMs: 50 }));
    assert.equal(late.code, Code.DeadlineExceeded);
    await seen.whenOpen(0);
  });

  it("makes an idempotent call once more when the service is away, another never", async (t) => {
    const calls: string[] = [];
    const away = (name: string) => {
      calls.push(name);
      throw new ConnectError("the store is away", Code.Unavailable);
    };
    const server = createRpcServer({ name: "inner", log: pino({ level: "silent" }) });
    server.add(FleetService, {
      listHosts: () => (calls.length === 0 ? away("list") : { hosts: [{ hostName: "web-1" }] }),
      getHost: () => away("get"),
      applyCluster: () => away("apply"),
    });
    const address = await server.listen("127.0.0.1:0");
    t.after(() => server.drain());
    const { url } = await startTestGateway(t, address);
    const transport = createConnectTransport({ baseUrl: url, httpVersion: "2" });
    const client = createClient(FleetService, transport);
    assert.equal((await client.listHosts({})).hosts.length, 1);
    assert.equal((await failure(client.getHost({}))).code, Code.Unavailable);
    assert.equal((await failure(client.applyCluster({}))).code, Code.Unavailable);
    assert.deepEqual(calls, ["list", "get", "get", "apply"]);
  });

  it("passes on the caller's cancel, of a call and of a stream", async (t) => {
    const { address, seen } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    for (const transport of Object.values(transports(url))) {
      const call = new AbortController();
      const answer = createClient(FleetService, transport).getCluster({}, { signal: call.signal });
      await seen.whenOpen(1);
      call.abort();
      assert.equal((await failure(answer)).code, Code.Canceled);
      await seen.whenOpen(0);

      const watch = new AbortController();
      const client = createClient(CommandStoreService, transport);
      await failure(
        (async () => {
          const stream = client.watchRequest({ requestId: 1n }, { signal: watch.signal });
          for await (const { request } of stream) {
            assert.equal(seen.open, 1);
            if (request?.progressPercent === 2) watch.abort();
          }
        })(),
      );
      await seen.whenOpen(0);
    }
  });

  it("ends a stream that is too old, and says to call again", async (t) => {
    const { address, seen } = await startInner(t);
    const { url } = await startTestGateway(t, address, { maxStreamAgeMs: 100 });
    const client = createClient(CommandStoreService, createGrpcTransport({ baseUrl: url }));
    const error = await failure(
      (async () => {
        for await (const _ of client.watchRequest({ requestId: 1n }));
      })(),
    );
    assert.equal(error.code, Code.Unavailable);
    assert.equal(
      error.rawMessage,
      "the gateway ends a stream after 0.1 seconds; call again to go on",
    );
    await seen.whenOpen(0);
  });

  it("refuses what is not for operators, whatever its kind", async (t) => {
    const { address } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    const transport = createGrpcTransport({ baseUrl: url });
    const store = createClient(CommandStoreService, transport);
    const stack = createClient(StackService, transport);
    const errors = [
      await failure(store.listUnfinished({})),
      await failure(store.createRequest(nothing())),
      await failure(
        (async () => {
          for await (const _ of stack.readPackage({ digest: "0" }));
        })(),
      ),
    ];
    for (const error of errors) {
      assert.equal(error.code, Code.Unimplemented);
      assert.match(error.rawMessage, /^howdah\.v1\.\w+\/\w+ is internal: /);
    }
    const agents = await fetch(`${url}/howdah.v1.DispatcherService/EnqueueCommands`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(agents.status, 501);
  });

  it("says which service is away", async (t) => {
    const { address } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    const client = createClient(
      RequestService,
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    );
    const error = await failure(client.cancelRequest({ requestId: 1n }));
    assert.equal(error.code, Code.Unavailable);
    assert.equal(error.rawMessage, "the scheduler at 127.0.0.1:1 cannot be reached");
    // A code that the service itself answers is not taken for that.
    const { url: there } = await startTestGateway(t, address, { schedulerAddress: address });
    const other = createClient(
      RequestService,
      createConnectTransport({ baseUrl: there, httpVersion: "1.1" }),
    );
    assert.equal((await failure(other.cancelRequest({}))).code, Code.Unimplemented);
  });

  it("answers curl, with and without a content type", async (t) => {
    const { address } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    const curl = (...args: string[]) =>
      run("curl", ["-s", "-i", ...args]).then(({ stdout }) => stdout);
    const method = `${url}/howdah.v1.FleetService/ListHosts`;
    const host = '{"hosts":[{"hostId":"7","hostName":"web-1"}]}';
    assert.match(await curl("-d", "{}", method), /HTTP\/1\.1 200/);
    assert.ok((await curl("-d", "{}", method)).endsWith(host));
    assert.ok(
      (await curl("-H", "content-type: application/json", "-d", "{}", method)).endsWith(host),
    );
    assert.ok((await curl("--http2-prior-knowledge", "-d", "{}", method)).endsWith(host));
    assert.ok((await curl(`${method}?encoding=json&message=%7B%7D`)).endsWith(host));
    const typo = await curl("-d", '{"selektor":{}}', method);
    assert.match(typo, /HTTP\/1\.1 400/);
    assert.match(typo, /"code":"invalid_argument".*selektor/s);
    assert.match(await curl(url), /HTTP\/1\.1 200.*Howdah's gateway.*curl -d/s);
    assert.match(await curl(`${url}/nothing`), /HTTP\/1\.1 404.*nothing at \/nothing.*ListHosts/s);
  });

  it("is told of by reflection and health, to buf curl without a proto", async (t) => {
    const { address } = await startInner(t);
    const { url, gateway } = await startTestGateway(t, address);
    for (const protocol of ["grpc", "connect"]) {
      const { stdout } = await run(buf, [
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        protocol,
        "-d",
        "{}",
        `${url}/howdah.v1.FleetService/ListHosts`,
      ]);
      assert.match(stdout, /web-1/);
    }
    const health = createClient(Health, createGrpcTransport({ baseUrl: url }));
    const { SERVING } = HealthCheckResponse_ServingStatus;
    assert.equal((await health.check({})).status, SERVING);
    assert.equal((await health.check({ service: "howdah.v1.FleetService" })).status, SERVING);
    await gateway.drain();
  });

  it("refuses web pages of elsewhere, and names that are not its own", async (t) => {
    const { address } = await startInner(t);
    const { url, gateway } = await startTestGateway(t, address, { allowedHosts: ["ops.example"] });
    const method = `${url}/howdah.v1.FleetService/ListHosts`;
    const call = (...headers: string[]) =>
      run("curl", [
        "-s",
        "-w",
        "%{http_code}",
        "-d",
        "{}",
        ...headers.flatMap((one) => ["-H", one]),
        method,
      ]);
    const own = `origin: http://${gateway.address}`;
    const json = "content-type: application/json";
    assert.match((await call(own, json)).stdout, /200$/);
    assert.match((await call("host: ops.example")).stdout, /200$/);
    assert.match((await call("host: localhost:7400")).stdout, /200$/);
    // A form that a page sends, even one of our own, is no call.
    assert.match((await call(own)).stdout, /415$/);
    const foreign = (await call("origin: https://evil.example", json)).stdout;
    assert.match(foreign, /pages of https:\/\/evil\.example may not call this gateway\s+403$/);
    const rebound = (await call("host: evil.example:7400", "origin: http://evil.example:7400"))
      .stdout;
    assert.match(rebound, /not known as "evil\.example:7400".*HOWDAH_ALLOWED_HOSTS\s+403$/);
  });

  it("takes messages up to 4 MiB", async (t) => {
    const { address } = await startInner(t);
    const { url } = await startTestGateway(t, address);
    const client = createClient(FleetService, createGrpcTransport({ baseUrl: url }));
    const error = await failure(client.getHost({ hostName: "x".repeat(4 << 20) }));
    assert.equal(error.code, Code.ResourceExhausted);
  });

  it("drains: streams are told, connections end, the port is free", async (t) => {
    const { address, seen } = await startInner(t);
    const { url, gateway } = await startTestGateway(t, address);
    const client = createClient(CommandStoreService, createGrpcTransport({ baseUrl: url }));
    const watched = failure(
      (async () => {
        for await (const _ of client.watchRequest({ requestId: 1n }));
      })(),
    );
    await seen.whenOpen(1);
    await gateway.drain();
    const error = await watched;
    assert.equal(error.code, Code.Unavailable);
    assert.equal(error.rawMessage, "the gateway is shutting down");
    const [host = "", port] = gateway.address.split(":");
    const again = createServer().listen(Number(port), host);
    await once(again, "listening");
    again.close();
  });

  it("says that its port is taken", async (t) => {
    const { address } = await startInner(t);
    const { gateway } = await startTestGateway(t, address);
    await assert.rejects(
      startTestGateway(t, address, { listen: gateway.address }),
      /^Error: HOWDAH_LISTEN: cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
    );
  });
});

async function* pieces() {
  yield { digest: "d", data: new Uint8Array(2) };
  yield { data: new Uint8Array(3) };
}

async function* words() {
  yield { text: "one" };
  yield { text: "two" };
}

async function* nothing() {}
