import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "@howdah/proto/grpc/health/v1/health";
import { echoClient, serveEcho } from "./echo-fixture.js";

const echoService = "howdah.rpc.test.v1.EchoService";

test("Check and List tell the state of each service", async (t) => {
  const { address, server } = await serveEcho(t);
  const health = createClient(Health, echoClient(t, address).transport);
  assert.equal((await health.check({})).status, Status.SERVING);
  assert.equal((await health.check({ service: echoService })).status, Status.SERVING);
  await assert.rejects(
    health.check({ service: "no.such" }),
    (error) => ConnectError.from(error).code === Code.NotFound,
  );
  server.health.set(echoService, false);
  assert.equal((await health.check({ service: echoService })).status, Status.NOT_SERVING);
  const { statuses } = await health.list({});
  assert.deepEqual(
    Object.entries(statuses).map(([name, { status }]) => [name, status]),
    [
      ["", Status.SERVING],
      [echoService, Status.NOT_SERVING],
    ],
  );
});

test("Watch tells the state at once, then each change, and of a service that comes later", async (t) => {
  const { address, server } = await serveEcho(t);
  const health = createClient(Health, echoClient(t, address).transport);
  const next = async (states: AsyncIterator<{ status: Status }>) =>
    (await states.next()).value.status;

  const known = health.watch({ service: echoService })[Symbol.asyncIterator]();
  assert.equal(await next(known), Status.SERVING);
  server.health.set(echoService, false);
  assert.equal(await next(known), Status.NOT_SERVING);
  server.health.set(echoService, true);
  assert.equal(await next(known), Status.SERVING);

  const later = health.watch({ service: "later" })[Symbol.asyncIterator]();
  assert.equal(await next(later), Status.SERVICE_UNKNOWN);
  server.health.set("later", true);
  assert.equal(await next(later), Status.SERVING);
});

test("watchers hear NOT_SERVING before a drain ends their streams", async (t) => {
  const { address, server } = await serveEcho(t);
  const health = createClient(Health, echoClient(t, address).transport);
  const states = health.watch({})[Symbol.asyncIterator]();
  assert.equal((await states.next()).value.status, Status.SERVING);
  const told = states.next();
  const drained = server.drain();
  assert.equal((await told).value.status, Status.NOT_SERVING);
  await assert.rejects(
    states.next(),
    (error) => ConnectError.from(error).code === Code.Unavailable,
  );
  await drained;
});
