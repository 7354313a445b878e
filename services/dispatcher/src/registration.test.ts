import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { JournalState, Verdict } from "@howdah/proto/howdah/v1/agent_registration";
import { Status } from "@howdah/proto/howdah/v1/status";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture } from "./testing/fixture.js";

function failure(end: "ok" | ConnectError): ConnectError {
  assert.ok(end instanceof ConnectError, `the stream ended with ${end}`);
  return end;
}

test("an agent registers, gets verdicts and the commands its journal does not list", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  store.addTask(1n, "web-1", Status.IN_PROGRESS);
  store.addTask(2n, "web-1", Status.QUEUED);
  store.addTask(3n, "web-1", Status.QUEUED);
  store.addTask(4n, "web-2", Status.QUEUED);
  const { agent } = await fixture.dispatcher();

  const one = agent();
  const result = await one.register("WEB-1", {
    entries: [
      { taskId: 1n, attempt: 1, state: JournalState.RUNNING },
      { taskId: 3n, attempt: 1, state: JournalState.ENDED },
      { taskId: 9n, attempt: 1, state: JournalState.RECEIVED },
    ],
  });
  assert.equal(result.storeId, "store-1");
  assert.equal(result.sessionEpoch, 1n);
  assert.equal(result.maxUnackedReports, 100);
  assert.equal(result.heartbeatMs, 60_000);
  assert.deepEqual(
    result.verdicts.map(({ taskId, verdict }) => [taskId, verdict]),
    [
      [1n, Verdict.KEEP],
      [3n, Verdict.REPORT],
      [9n, Verdict.FORGET],
    ],
  );
  const command = await one.next("executionCommand");
  assert.equal(command.taskId, 2n);
  assert.equal(one.all("executionCommand").length, 1);
});

test("a registration comes in pages", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const entry = (taskId: bigint) => ({ taskId, attempt: 1, state: JournalState.RECEIVED });
  one.sendRegister("web-1", { entries: [entry(1n)], more: true });
  one.sendRegister("ignored", { entries: [entry(2n)], more: true });
  const result = await one.register("", { entries: [entry(3n)] });
  assert.deepEqual(
    result.verdicts.map(({ taskId }) => taskId),
    [1n, 2n, 3n],
  );
  assert.equal(fixture.store.opens.length, 1);
});

test("an agent that lies loses its stream, with a reason", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();

  const twice = agent();
  await twice.register("web-1");
  twice.sendRegister("web-1");
  assert.equal(failure(await twice.end()).code, Code.FailedPrecondition);

  for (const [fields, message] of [
    [{ hostName: "x".repeat(256) }, /^host_name: has 256 characters/],
    [{ hostName: "" }, /^host_name: is empty/],
    [{ hostName: "a b" }, /^host_name: "a b"/],
    [{ agentId: "" }, /^agent_id: is empty/],
    [{ journalId: "y".repeat(65) }, /^journal_id: has 65/],
    [{ factsJson: "[]" }, /^facts_json: is no JSON object/],
    [{ entries: [{ taskId: -1n, attempt: 1 }] }, /^entries: /],
  ] as const) {
    const liar = agent();
    liar.sendRegister("web-9", fields as object);
    const error = failure(await liar.end());
    assert.equal(error.code, Code.InvalidArgument);
    assert.match(error.rawMessage, message);
  }
});

test("the store away: a registration fails with UNAVAILABLE and works later", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  fixture.store.down = true;
  const early = agent();
  early.sendRegister("web-1");
  const error = failure(await early.end());
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.rawMessage, /register again later/);
  fixture.store.down = false;
  assert.equal((await agent().register("web-1")).sessionEpoch, 1n);
});

test("a storm of registrations reaches the store a few at a time", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const { agent } = await fixture.dispatcher({ maxRegistrations: 5 });
  const gate = deferred();
  store.holdOpen = gate.promise;
  const agents = Array.from({ length: 30 }, () => agent());
  for (const [index, one] of agents.entries()) one.sendRegister(`host-${index}`);
  await eventually("five under way", () => store.openSessionsUnderWay === 5);
  agents[29]?.cut();
  gate.resolve();
  await Promise.all(agents.slice(0, 29).map((one) => one.next("registrationResult")));
  assert.equal(store.maxOpenSessionsUnderWay, 5);
});
