import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture } from "./testing/fixture.js";

test("a drain tells each agent when to reconnect, stores what is under way, and leaves nothing open", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  store.addTask(1n, "host-0");
  const { dispatcher, agent, client } = await fixture.dispatcher();
  const agents = Array.from({ length: 10 }, () => agent());
  const results = await Promise.all(agents.map((one, index) => one.register(`host-${index}`)));
  const commit = deferred();
  store.hold = commit.promise;
  agents[0]?.report(1n, TaskEvent.SUCCEEDED);
  await eventually("the report", () => store.reportBatches.length === 1);

  const drained = dispatcher.drain(2_000, 5_000);
  const drains = await Promise.all(agents.map((one) => one.next("drain")));
  const times = drains.map(({ reconnectAfterMs }) => reconnectAfterMs);
  assert.ok(times.every((ms) => ms >= 0 && ms < 2_000));
  assert.ok(new Set(times).size > 1, "each agent is given another time");

  const late = agent();
  late.sendRegister("host-11");
  const refused = await late.end();
  assert.ok(refused instanceof ConnectError && refused.code === Code.Unavailable);
  const [first] = results;
  assert.ok(first !== undefined);
  const { refusedTaskIds } = await client.enqueueCommands({
    commands: [{ sessionEpoch: first.sessionEpoch, command: { taskId: 8n, hostId: first.hostId } }],
  });
  assert.deepEqual(refusedTaskIds, [8n]);

  commit.resolve();
  await eventually("the ack", () => agents[0]?.acks.length === 1);
  for (const one of agents.slice(0, 9)) one.goodbye();
  // The last one does not leave by itself: its stream is ended when the time is up.
  await drained;
  const last = await (agents[9] as (typeof agents)[0]).end();
  assert.ok(last instanceof ConnectError && last.code === Code.Unavailable);
  assert.equal(store.closed.length, 10);
  assert.deepEqual(store.released, ["dispatcher/d1"]);
});

test("a registration that is under way when the drain begins leaves no session open", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const { dispatcher, agent } = await fixture.dispatcher();
  const gate = deferred();
  store.holdOpen = gate.promise;
  const one = agent();
  one.sendRegister("web-1");
  await eventually("the call", () => store.openSessionsUnderWay === 1);
  const drained = dispatcher.drain(0, 3_000);
  const end = await one.end();
  assert.ok(end instanceof ConnectError && end.code === Code.Unavailable);
  gate.resolve();
  await drained;
  assert.equal(store.host("web-1").open, undefined);
});
