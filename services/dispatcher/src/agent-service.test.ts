import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AckResult, ConnectRequestSchema } from "@howdah/proto/howdah/v1/agent_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture } from "./testing/fixture.js";

function failure(end: "ok" | ConnectError): ConnectError {
  assert.ok(end instanceof ConnectError, `the stream ended with ${end}`);
  return end;
}

test("a report is acknowledged only after the store has committed it", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  store.addTask(1n, "web-1");
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const commit = deferred();
  store.hold = commit.promise;
  one.report(1n, TaskEvent.SUCCEEDED);
  await eventually("the report at the store", () => store.reportBatches.length === 1);
  // A probe goes past the report and comes back: the stream is alive and nothing was acknowledged.
  one.sayRaw(fromBinary(ConnectRequestSchema, new Uint8Array([0xfa, 0x01, 0x00])));
  await one.next("unsupported");
  assert.equal(one.acks.length, 0);
  commit.resolve();
  await eventually("the ack", () => one.acks.length === 1);
  assert.equal(one.acks[0]?.outcome, ReportOutcome.RECORDED);
  assert.equal(one.acks[0]?.event, TaskEvent.SUCCEEDED);
});

test("what arrives while one batch commits is the next batch", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  for (let id = 1n; id <= 50n; id += 1n) store.addTask(id, "web-1");
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const commit = deferred();
  store.hold = commit.promise;
  one.report(1n, TaskEvent.STARTED);
  await eventually("the first batch", () => store.reportBatches.length === 1);
  for (let id = 2n; id <= 50n; id += 1n) one.report(id, TaskEvent.STARTED);
  one.sayRaw(fromBinary(ConnectRequestSchema, new Uint8Array([0xfa, 0x01, 0x00])));
  await one.next("unsupported");
  commit.resolve();
  await eventually("all acks", () => one.acks.length === 50);
  assert.deepEqual(
    store.reportBatches.map((batch) => batch.length),
    [1, 49],
  );
});

test("while the store is down the stream stays, and its reports are delivered after", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  store.addTask(1n, "web-1");
  const { agent, client } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  store.down = true;
  one.report(1n, TaskEvent.SUCCEEDED);
  await eventually("some tries", () => store.reportBatches.length >= 3);
  assert.equal(one.ended, undefined);
  assert.equal(one.acks.length, 0);
  assert.equal((await client.listSessions({})).sessions.length, 1);
  store.down = false;
  await eventually("the ack", () => one.acks.length === 1);
  assert.equal(store.tasks.get(1n)?.status, Status.COMPLETED);
});

test("one bad report is refused alone", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  for (let id = 1n; id <= 20n; id += 1n) store.addTask(id, "web-1");
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  store.poison = 7n;
  for (let id = 1n; id <= 20n; id += 1n) one.report(id, TaskEvent.SUCCEEDED);
  await eventually("all acks", () => one.acks.length === 20);
  for (const { taskId, outcome } of one.acks) {
    const expected = taskId === 7n ? ReportOutcome.REFUSED : ReportOutcome.RECORDED;
    assert.equal(outcome, expected, `task ${taskId}`);
  }
});

test("a report that no agent can mean is refused without the store", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  one.report(1n, TaskEvent.RELEASED);
  one.report(0n, TaskEvent.STARTED);
  one.report(1n, 99);
  await eventually("the refusals", () => one.acks.length === 3);
  assert.ok(one.acks.every(({ outcome }) => outcome === ReportOutcome.REFUSED));
  assert.match(one.acks[0]?.reason ?? "", /^event: RELEASED/);
  assert.equal(fixture.store.reportBatches.length, 0);
});

test("goodbye and lost streams both end the session, with a different word", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  const lines: string[] = [];
  const { pino } = await import("pino");
  const log = pino({ level: "info" }, { write: (line: string) => lines.push(line) });
  const { agent } = await fixture.dispatcher({ log });
  const ends = () =>
    lines.flatMap((line) => {
      const { msg, end, hostName } = JSON.parse(line) as Record<string, string>;
      return msg === "session closed" ? [`${hostName} ${end}`] : [];
    });
  const [polite, half, gone] = [agent(), agent(), agent()] as const;
  await Promise.all([polite.register("a"), half.register("b"), gone.register("c")]);
  polite.goodbye();
  assert.equal(await polite.end(), "ok");
  half.halfClose();
  await half.end();
  gone.cut();
  await eventually("three closed sessions", () => store.closed.length === 3);
  assert.deepEqual(ends().sort(), ["a goodbye", "b lost", "c lost"]);
});

test("a message that is not known is answered with its field number", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  // Fields 31 and 30, empty messages.
  for (const tag of [0xfa, 0xf2]) {
    one.sayRaw(fromBinary(ConnectRequestSchema, new Uint8Array([tag, 0x01, 0x00])));
  }
  await eventually("two answers", () => one.all("unsupported").length === 2);
  assert.deepEqual(
    one.all("unsupported").map(({ fieldNumber }) => fieldNumber),
    [31, 30],
  );
  assert.equal(one.ended, undefined);
});

test("rubbish bytes end the stream and nothing else", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const [good, bad] = [agent(), agent()] as const;
  await good.register("web-1");
  await bad.register("web-2");
  // An unknown field's bytes are written as they are: these claim a length that is not there.
  const rubbish = create(ConnectRequestSchema);
  rubbish.$unknown = [{ no: 1, wireType: 2, data: new Uint8Array([0x7f, 0x01]) }];
  bad.sayRaw(rubbish);
  assert.equal(failure(await bad.end()).code, Code.InvalidArgument);
  good.sayRaw(fromBinary(ConnectRequestSchema, new Uint8Array([0xfa, 0x01, 0x00])));
  await good.next("unsupported");
});

test("reports of one message are each taken and acknowledged, and one bad one refused alone", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  for (const id of [1n, 2n]) store.addTask(id, "web-1");
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const event = TaskEvent.SUCCEEDED;
  one.say({
    case: "commandReports",
    value: { reports: [1n, 0n, 2n].map((taskId) => ({ taskId, attempt: 1, event })) },
  });
  await eventually("all acknowledgements", () => one.acks.length === 3);
  const outcomes = new Map(one.acks.map(({ taskId, outcome }) => [taskId, outcome]));
  assert.deepEqual(
    [1n, 0n, 2n].map((taskId) => outcomes.get(taskId)),
    [ReportOutcome.RECORDED, ReportOutcome.REFUSED, ReportOutcome.RECORDED],
  );
});

test("an agent that ignores its credit in one message loses its stream", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher({ maxUnackedReports: 5 });
  const one = agent();
  await one.register("web-1");
  fixture.store.down = true;
  const reports = Array.from({ length: 11 }, (_, at) => ({
    ...{ taskId: BigInt(at + 1), attempt: 1, event: TaskEvent.STARTED },
  }));
  one.say({ case: "commandReports", value: { reports } });
  assert.equal(failure(await one.end()).code, Code.ResourceExhausted);
});

test("an agent that ignores its credit loses its stream", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher({ maxUnackedReports: 5 });
  const one = agent();
  await one.register("web-1");
  fixture.store.down = true;
  for (let id = 1n; id <= 11n; id += 1n) one.report(id, TaskEvent.STARTED);
  const error = failure(await one.end());
  assert.equal(error.code, Code.ResourceExhausted);
  assert.match(error.rawMessage, /the credit is 5/);
});

test("a refused command fails with the agent's reason; one behind a live attempt is sent again", async (t) => {
  const fixture = await Fixture.start(t);
  const { store } = fixture;
  store.addTask(1n, "web-1");
  store.addTask(2n, "web-1", Status.QUEUED, 2);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  await eventually("both commands", () => one.all("executionCommand").length === 2);
  one.say({
    case: "commandAck",
    value: { taskId: 1n, attempt: 1, result: AckResult.REFUSED, reason: "the disk is full" },
  });
  await eventually("the failure", () => store.tasks.get(1n)?.status === Status.FAILED);
  assert.match(store.reportBatches[0]?.[0]?.reason ?? "", /could not take.*the disk is full/);

  one.say({
    case: "commandAck",
    value: { taskId: 2n, attempt: 2, result: AckResult.ATTEMPT_ALIVE },
  });
  one.report(2n, TaskEvent.CANCELLED, 1);
  await eventually("the command again", () => one.all("executionCommand").length === 3);
  assert.equal(one.all("executionCommand")[2]?.attempt, 2);
});

test("an agent that reports and reads nothing loses its stream before it costs memory", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher({ maxUnackedReports: 100 });
  const one = agent();
  const stall = deferred();
  one.stalled = stall.promise;
  await one.register("web-1");
  const reporting = setInterval(() => {
    for (let id = 1n; id <= 50n; id += 1n) {
      one.say({
        case: "commandReports",
        value: {
          reports: [{ taskId: id, attempt: 1, event: TaskEvent.STARTED, reason: "r".repeat(200) }],
        },
      });
    }
  }, 2);
  try {
    let open = 1;
    while (open > 0) open = (await client.listSessions({})).sessions.length;
  } finally {
    clearInterval(reporting);
    stall.resolve();
  }
});
