import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AckResult, ConnectResponseSchema } from "@howdah/proto/howdah/v1/agent_service";
import { acknowledged, startAgent } from "../testing/started-agent.js";
import { until } from "../testing/test-agent.js";
import { serveDispatcher, shellTask } from "../testing/test-dispatcher.js";
import { testStore } from "../testing/test-store.js";

/** What would be waited for instead lasts a minute; a machine that is busy may take a while all the same. */
const atOnceMs = 10_000;

test("a probe is answered at once, and so is a message that is not known", async (t) => {
  const dispatcher = await serveDispatcher(t);
  startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  session.say(shellTask(1, "sleep 1"));
  const began = performance.now();
  session.say({ case: "probe", value: {} });
  await until(() => session.all("heartbeat").length === 1, "a heartbeat");
  assert.ok(performance.now() - began < atOnceMs);
  const unknown = create(ConnectResponseSchema);
  unknown.$unknown = [{ no: 77, wireType: 2, data: new Uint8Array([1, 65]) }];
  assert.ok(toBinary(ConnectResponseSchema, unknown).length > 0);
  session.outbox.put(unknown);
  await until(() => session.all("unsupported").length === 1, "an answer");
  assert.equal(session.all("unsupported")[0]?.fieldNumber, 77);
});

test("heartbeats come as often as the server asks", async (t) => {
  const dispatcher = await serveDispatcher(t);
  dispatcher.script.result = { heartbeatMs: 1_000 };
  startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  await until(() => session.all("heartbeat").length === 2, "two heartbeats");
});

test("SIGTERM says goodbye, leaves what runs alone and ends with 0", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  session.say(shellTask(1, `until test -e ${agent.folders.prefix}/go; do sleep 0.05; done`));
  await until(() => dispatcher.reports.length === 1, "the start");
  assert.equal(await agent.end("SIGTERM"), 0);
  assert.equal(session.all("goodbye").length, 1);
  assert.equal(agent.errors(), "");
  agent.start();
  await until(() => dispatcher.sessions.length === 2, "another session");
  (await dispatcher.session()).say(
    shellTask(2, `touch ${agent.folders.prefix}/go`, {}, { background: true }),
  );
  assert.equal((await dispatcher.ended(1)).exitCode, 0);
});

test("SIGTERM ends an agent whose server does not answer", async (t) => {
  const dispatcher = await serveDispatcher(t);
  dispatcher.script.deaf = true;
  const agent = startAgent(t, dispatcher.address);
  await until(() => dispatcher.sessions.length === 1, "a stream");
  const began = performance.now();
  assert.equal(await agent.end("SIGTERM"), 0);
  assert.ok(performance.now() - began < atOnceMs);
});

test("a drain ends with a goodbye at its moment, and what is under way goes on until then", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const began = performance.now();
  session.say({ case: "drain", value: { reconnectAfterMs: 700 } });
  session.say(shellTask(1, "true"));
  await acknowledged(agent, 1);
  assert.equal(dispatcher.sessions.length, 1);
  await until(() => session.all("goodbye").length === 1, "a goodbye");
  const tookMs = performance.now() - began;
  assert.ok(tookMs > 600, `${tookMs} ms`);
  await until(() => dispatcher.sessions.length === 2, "another session");
  assert.ok(performance.now() - began < tookMs + atOnceMs);
});

test("asked to register again it says goodbye and comes back at once", async (t) => {
  const dispatcher = await serveDispatcher(t);
  startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  session.say({ case: "registrationCommand", value: { reason: "test" } });
  const began = performance.now();
  await until(() => dispatcher.sessions.length === 2, "another session");
  assert.ok(performance.now() - began < atOnceMs);
  assert.equal(session.all("goodbye").length, 1);
});

test("asked to register again it goes on with what runs, and tells of it", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const { prefix } = agent.folders;
  session.say(
    shellTask(1, `echo x >> ${prefix}/starts; until test -e ${prefix}/go; do sleep 0.05; done`),
  );
  await until(() => dispatcher.reports.length === 1, "the start");
  session.say({ case: "registrationCommand", value: { reason: "the host was lost" } });
  // As a dispatcher does that waits for no goodbye.
  session.end();
  await until(() => dispatcher.sessions.length === 2, "another session");
  const entries = dispatcher.sessions[1]?.pages.flatMap((page) => page.entries) ?? [];
  assert.deepEqual(
    entries.map(({ taskId, attempt }) => [taskId, attempt]),
    [[1n, 1]],
  );
  writeFileSync(`${prefix}/go`, "");
  assert.equal((await dispatcher.ended(1)).exitCode, 0);
  assert.equal(readFileSync(`${prefix}/starts`, "utf8"), "x\n");
});

test("a server that sends it away all the time sees it ever less often", async (t) => {
  const dispatcher = await serveDispatcher(t);
  startAgent(t, dispatcher.address);
  let seen = 0;
  const until3s = performance.now() + 3_000;
  while (performance.now() < until3s) {
    const session = await dispatcher.session();
    seen = dispatcher.sessions.length;
    session.say({ case: "registrationCommand", value: { reason: "again" } });
    await until(() => dispatcher.sessions.length > seen, "another session");
  }
  assert.ok(seen < 12, `${seen} sessions in 3 s`);
});

test("a server with another store: registered again with that store's attempts only", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdAcks = true;
  const first = await dispatcher.session();
  first.say(shellTask(1, "echo old"));
  first.say(
    shellTask(2, `echo old; until test -e ${agent.folders.prefix}/go; do sleep 0.05; done`),
  );
  await dispatcher.ended(1);
  await until(() => dispatcher.reports.length === 2, "the start");
  dispatcher.script.storeId = "new";
  dispatcher.script.holdAcks = false;
  dispatcher.reports.length = 0;
  dispatcher.cut();
  await until(() => dispatcher.sessions.length === 3, "two more sessions");
  const listed = dispatcher.sessions.map(({ pages }) =>
    pages.flatMap(({ storeId, entries }) => [storeId, entries.length]),
  );
  assert.deepEqual(listed, [
    ["", 0],
    [testStore, 2],
    ["new", 0],
  ]);
  const third = await dispatcher.session();
  third.say(shellTask(3, `touch ${agent.folders.prefix}/go`, {}, { background: true }));
  third.say(shellTask(4, "true"));
  await dispatcher.ended(4);
  await acknowledged(agent, 4);
  assert.ok(dispatcher.reports.every(({ taskId }) => taskId > 2n));
  assert.ok(
    dispatcher.uploads.every(({ taskId, session }) => taskId > 2n || session?.sessionEpoch === 1n),
  );
  assert.equal(agent.entry(1)?.acknowledgedAtMs, null);
  // Back at the old store, which hears what it has not acknowledged.
  dispatcher.script.storeId = testStore;
  dispatcher.cut();
  await acknowledged(agent, 1);
  await acknowledged(agent, 2);
});

test("rubbish from the server never ends the agent", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const notKnown = Number("77");
  const kinds = ["executionCommand", "cancelCommand", "reportAck", "drain", "probe"] as const;
  dispatcher.script.result = {
    ...{ maxUnackedReports: -5, heartbeatMs: -1, outputCap: -1n },
    hostId: -7n,
  };
  dispatcher.script.verdicts = () => [{ taskId: -1n, attempt: -1, verdict: notKnown }];
  const session = await dispatcher.session();
  session.say({ case: "registrationResult", value: { storeId: "other" } });
  session.say(shellTask(-3, "true"));
  session.say(shellTask(3, "true", { attempt: 0 }));
  session.say({ case: "executionCommand", value: { taskId: 4n, attempt: 1 } });
  session.say({ case: "cancelCommand", value: { taskId: 0n, attempt: 0, reason: "" } });
  session.say({ case: "cancelCommand", value: { taskId: -8n, attempt: 1, reason: "" } });
  session.say({
    case: "reportAck",
    value: { acks: [{ taskId: -1n, attempt: -1, outcome: notKnown }] },
  });
  session.say({ case: "unsupported", value: { fieldNumber: -1 } });
  session.say(shellTask(5, "true", {}, { timeoutMs: -5n }));
  await acknowledged(agent, 5);
  await acknowledged(agent, 4);
  const failed = dispatcher.reports.find(({ taskId }) => taskId === 4n);
  assert.match(failed?.reason ?? "", /nothing about what to run/);
  const answers = dispatcher.acks.map(({ taskId, result }) => [taskId, result]);
  assert.deepEqual(answers.slice(0, 2), [
    [-3n, AckResult.REFUSED],
    [3n, AckResult.REFUSED],
  ]);
  assert.ok(agent.log.some(({ msg }) => msg === "a verdict on what cannot be"));
  assert.equal(session.over, false);
  for (const kind of kinds) {
    dispatcher.script.deaf = true;
    const before = dispatcher.sessions.length;
    dispatcher.cut();
    await until(() => dispatcher.sessions.length > before, "a stream");
    const last = dispatcher.sessions.at(-1);
    last?.say({ case: kind, value: {} } as Parameters<typeof last.say>[0]);
    await until(() => last?.over, `the end of a session that begins with ${kind}`);
  }
  dispatcher.script.deaf = false;
  dispatcher.script.storeId = "../../etc";
  const before = dispatcher.sessions.length;
  await until(() => dispatcher.sessions.length > before + 1, "refused sessions");
  dispatcher.script.storeId = testStore;
  await dispatcher.session();
  const last = await dispatcher.session();
  last.end(new ConnectError("no", Code.Internal));
  const count = dispatcher.sessions.length;
  await until(() => dispatcher.sessions.length > count, "another session");
  (await dispatcher.session()).say(shellTask(6, "true"));
  await acknowledged(agent, 6);
  assert.equal(agent.errors(), "");
});
