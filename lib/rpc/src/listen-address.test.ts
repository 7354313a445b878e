import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestLog, serveEcho } from "./echo-fixture.js";
import {
  assertListenAllowed,
  formatAddress,
  isLoopback,
  parseListenAddress,
} from "./listen-address.js";
import { createRpcServer } from "./server.js";

test("addresses that can be read", () => {
  for (const [text, host, port] of [
    ["127.0.0.1:7400", "127.0.0.1", 7400],
    ["[::1]:7400", "::1", 7400],
    ["localhost:0", "localhost", 0],
    ["store-1.example.com:65535", "store-1.example.com", 65535],
  ] as const) {
    assert.deepEqual(parseListenAddress(text), { host, port });
    assert.equal(formatAddress({ host, port }), text);
  }
});

test("addresses that cannot, each with its reason", () => {
  for (const [text, reason] of [
    ["7400", "has no port"],
    ["localhost", "has no port"],
    [":7400", "has no host"],
    ["::1:7400", "has an IPv6 address without brackets"],
    ["[127.0.0.1]:7400", "has no IPv6 address in its brackets"],
    ["127.0.0.1:99999", "has a port above 65535"],
    ["300.0.0.1:1", "has no valid host name"],
    ["a b:1", "has no valid host name"],
  ] as const) {
    assert.throws(
      () => parseListenAddress(text, "scheduler.listen"),
      (error: Error) => {
        assert.ok(error.message.startsWith(`scheduler.listen: "${text}" ${reason}`), error.message);
        assert.ok(!error.message.includes("\n"));
        return true;
      },
    );
  }
});

test("loopback is 127.0.0.0/8, ::1 however it is written, and localhost", () => {
  const loopback = (text: string) => isLoopback(parseListenAddress(text));
  for (const text of [
    "127.0.0.1:1",
    "127.8.8.8:1",
    "[::1]:1",
    "[0:0:0:0:0:0:0:1]:1",
    "localhost:1",
  ]) {
    assert.ok(loopback(text), text);
  }
  for (const text of [
    "0.0.0.0:1",
    "[::]:1",
    "10.0.0.1:1",
    "localhost.evil.com:1",
    "127.evil.com:1",
  ]) {
    assert.ok(!loopback(text), text);
  }
});

test("any other address needs TLS, and the refusal says how to get it", () => {
  const address = parseListenAddress("0.0.0.0:7440");
  assertListenAllowed(address, true, "agents.listen");
  assert.throws(
    () => assertListenAllowed(address, false, "agents.listen"),
    /^Error: agents\.listen: 0\.0\.0\.0:7440 .*needs TLS.*127\.0\.0\.1.*openssl req/,
  );
});

test("a server refuses at listen, not at its first call", async () => {
  const { log } = createTestLog();
  const server = createRpcServer({ name: "open", log, listenOption: "store.listen" });
  await assert.rejects(
    server.listen("0.0.0.0:0"),
    /^Error: store\.listen: 0\.0\.0\.0:0 .*needs TLS/,
  );
  await assert.rejects(server.listen("nonsense"), /^Error: store\.listen: "nonsense" has no port/);
});

test("a taken port is named, with the way out", async (t) => {
  const { address } = await serveEcho(t);
  const { log } = createTestLog();
  const second = createRpcServer({ name: "second", log });
  await assert.rejects(
    second.listen(address),
    new Error(
      `listen: cannot listen on ${address}: another process listens there (EADDRINUSE); stop it or choose another port`,
    ),
  );
  await second.drain();
});
