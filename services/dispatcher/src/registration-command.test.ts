import assert from "node:assert/strict";
import { test } from "node:test";
import { Code } from "@connectrpc/connect";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { Fixture } from "./testing/fixture.js";

test("a scheduler has agents register again; another epoch, another host and a stale scheduler change nothing", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const [one, two] = [agent(), agent()];
  const first = await one.register("web-1");
  const second = await two.register("web-2", { agentId: "agent-2", journalId: "journal-2" });
  const send = (schedulerToken: bigint, hostId: bigint, sessionEpoch: bigint) =>
    client.sendRegistrationCommands({
      ...{ schedulerToken, sessions: [{ hostId, sessionEpoch }], reason: "the host was lost" },
    });
  await send(7n, first.hostId, first.sessionEpoch + 1n);
  await send(7n, 99n, 1n);
  await assert.rejects(send(6n, second.hostId, second.sessionEpoch), {
    code: Code.FailedPrecondition,
  });
  await send(7n, first.hostId, first.sessionEpoch);
  // A second one before the stream has ended is no second command.
  await send(7n, first.hostId, first.sessionEpoch);
  assert.equal((await one.next("registrationCommand")).reason, "the host was lost");
  assert.equal(await one.end(), "ok");
  assert.equal(one.all("registrationCommand").length, 1);
  assert.deepEqual([two.ended, two.all("registrationCommand")], [undefined, []]);
  const again = await agent().register("web-1");
  assert.deepEqual([again.hostId, again.sessionEpoch], [first.hostId, first.sessionEpoch + 1n]);
});

test("what is committed is acknowledged before the stream of an agent that is to register again ends", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  fixture.store.addTask(1n, "web-1");
  one.report(1n, TaskEvent.STARTED);
  await eventually("the ack", () => one.acks.length === 1);
  await client.sendRegistrationCommands({
    ...{ schedulerToken: 1n, sessions: [{ hostId, sessionEpoch }], reason: "x" },
  });
  assert.equal(await one.end(), "ok");
});

test("an agent that speaks before it has registered is asked to register", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const early = agent();
  early.report(1n, TaskEvent.STARTED);
  const { reason } = await early.next("registrationCommand");
  assert.equal(reason, "the first message must be register, not commandReports");
  assert.equal(await early.end(), "ok");
  assert.deepEqual(fixture.store.reportBatches, []);
});
