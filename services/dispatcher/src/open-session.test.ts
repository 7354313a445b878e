import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { JournalState } from "@howdah/proto/howdah/v1/agent_registration";
import { Status } from "@howdah/proto/howdah/v1/status";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture } from "./testing/fixture.js";

test("an old stream that answers a probe keeps its host; both peers are named", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const old = agent();
  await old.register("web-1");
  const clone = agent();
  clone.sendRegister("web-1");
  const error = await clone.end();
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.AlreadyExists);
  assert.match(
    error.rawMessage,
    /^host web-1 is connected from 127\.0\.0\.1:\d+; this agent \(id agent-1\) comes from 127\.0\.0\.1:\d+: cloned/,
  );
  assert.equal(old.ended, undefined);
});

test("an old stream that is silent loses its host to the same agent, and its reports are dropped", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  store.addTask(1n, "web-1", Status.IN_PROGRESS);
  const { agent, client } = await fixture.dispatcher();
  const old = agent();
  await old.register("web-1");
  old.answersProbes = false;
  const commit = deferred();
  store.hold = commit.promise;
  // One report blocks the store, the next one waits in the dispatcher when its session is taken over.
  old.report(77n, TaskEvent.STARTED);
  await eventually("a held batch", () => store.reportBatches.length === 1);
  old.report(1n, TaskEvent.SUCCEEDED);
  const fresh = agent();
  const result = await fresh.register("web-1", {
    entries: [{ taskId: 1n, attempt: 1, state: JournalState.ENDED }],
  });
  assert.equal(result.sessionEpoch, 2n);
  const end = await old.end();
  assert.ok(end instanceof ConnectError && end.code === Code.Aborted);
  commit.resolve();
  fresh.report(1n, TaskEvent.SUCCEEDED);
  await eventually("the ack", () => fresh.acks.length === 1);
  assert.equal(fresh.acks[0]?.outcome, ReportOutcome.RECORDED);
  const epochs = store.reportBatches.flat().map(({ sessionEpoch }) => sessionEpoch);
  assert.deepEqual(epochs, [1n, 2n]);
  assert.equal((await client.listSessions({})).sessions.length, 1);
});

test("another agent never takes a host over", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const old = agent();
  await old.register("web-1");
  old.answersProbes = false;
  const other = agent();
  other.sendRegister("web-1", { agentId: "agent-2", journalId: "journal-2" });
  const end = await other.end();
  assert.ok(end instanceof ConnectError && end.code === Code.AlreadyExists);
  assert.match(end.rawMessage, /this agent \(id agent-2\)/);
  assert.equal(old.ended, undefined);
});

test("the session of another dispatcher is probed there", async (t) => {
  const fixture = await Fixture.start(t);
  const first = await fixture.dispatcher({ instance: "d1" });
  const second = await fixture.dispatcher({ instance: "d2" });
  const old = first.agent();
  await old.register("web-1");
  const early = second.agent();
  early.sendRegister("web-1");
  const end = await early.end();
  assert.ok(end instanceof ConnectError && end.code === Code.AlreadyExists);
  old.answersProbes = false;
  const fresh = second.agent();
  assert.equal((await fresh.register("web-1")).sessionEpoch, 2n);

  // The first dispatcher does not know yet. Its agent's next report is of a stale session, and that ends it.
  fixture.store.addTask(1n, "web-1", Status.IN_PROGRESS);
  const task = fixture.store.tasks.get(1n);
  assert.ok(task !== undefined);
  task.sessionEpoch = 2n;
  old.report(1n, TaskEvent.SUCCEEDED);
  const { reason } = await old.next("registrationCommand");
  assert.equal(reason, "the host has a newer session elsewhere");
  assert.equal(await old.end(), "ok");
});

test("a session that is ours on paper only gives way, to another agent too", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const row = fixture.store.host("web-1");
  Object.assign(row, { epoch: 4n, agentId: "agent-0", journalId: "journal-0" });
  row.open = { dispatcher: "dispatcher/d1", token: 1n, peerAddress: "10.0.0.1:1" };
  assert.equal((await agent().register("web-1")).sessionEpoch, 5n);
  assert.deepEqual(
    fixture.store.closed.map(({ sessionEpoch }) => sessionEpoch),
    [4n],
  );
});

test("a session that another dispatcher has on paper only is closed by it a while after a probe", async (t) => {
  const fixture = await Fixture.start(t);
  await fixture.dispatcher({ instance: "d1", missingAfterMs: 100 });
  const { agent } = await fixture.dispatcher({ instance: "d2" });
  const row = fixture.store.host("web-1");
  Object.assign(row, { epoch: 4n, agentId: "agent-0", journalId: "journal-0" });
  row.open = { dispatcher: "dispatcher/d1", token: 1n, peerAddress: "10.0.0.1:1" };
  const early = agent();
  early.sendRegister("web-1");
  const end = await early.end();
  assert.ok(end instanceof ConnectError && end.code === Code.AlreadyExists);
  await eventually("the close", () => fixture.store.closed.length === 1);
  assert.equal((await agent().register("web-1")).sessionEpoch, 5n);
});

test("a stream that is gone when its session opens does not leave it open", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const { agent } = await fixture.dispatcher();
  const gate = deferred();
  store.holdOpen = gate.promise;
  const one = agent();
  one.sendRegister("web-1");
  await eventually("the call", () => store.openSessionsUnderWay === 1);
  one.cut();
  const two = agent();
  two.sendRegister("web-2");
  await eventually("another call", () => store.openSessionsUnderWay === 2);
  gate.resolve();
  await eventually("the close", () => store.closed.length === 1);
  assert.equal(store.host("web-1").open, undefined);
  await two.next("registrationResult");
});

test("what another store's journal lists is not taken for this store's", async (t) => {
  const fixture = await Fixture.start(t);
  fixture.store.addTask(1n, "web-1");
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const result = await one.register("web-1", {
    storeId: "an-older-store",
    entries: [{ taskId: 1n, attempt: 1, state: JournalState.ENDED }],
  });
  assert.deepEqual(result.verdicts, []);
  assert.equal((await one.next("executionCommand")).taskId, 1n);
});

test("an agent that comes back at once need not wait for its own old stream", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  for (let epoch = 1n; epoch <= 5n; epoch += 1n) {
    const since = performance.now();
    const one = agent();
    assert.equal((await one.register("web-1")).sessionEpoch, epoch);
    assert.ok(performance.now() - since < 1_500, "no probe ran into its time limit");
    one.cut();
  }
});

test("an agent that stays silent on a live connection is probed and then dropped", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher({ heartbeatMs: 100 });
  const [silent, talking] = [agent(), agent()] as const;
  silent.answersProbes = false;
  await Promise.all([silent.register("web-1"), talking.register("web-2")]);
  const end = await silent.end();
  assert.ok(end instanceof ConnectError && end.code === Code.DeadlineExceeded);
  assert.match(end.rawMessage, /nothing was heard for \d+ ms/);
  assert.ok(silent.all("probe").length > 0);
  assert.equal(talking.ended, undefined);
});
