import assert from "node:assert/strict";
import { test } from "node:test";
import { JournalState, Verdict } from "@howdah/proto/howdah/v1/agent_registration";
import { AckResult } from "@howdah/proto/howdah/v1/agent_service";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { acknowledged, startAgent } from "../testing/started-agent.js";
import { until } from "../testing/test-agent.js";
import { STDERR, STDOUT, serveDispatcher, shellTask } from "../testing/test-dispatcher.js";
import { testStore } from "../testing/test-store.js";

const longTask = (id: number, more = {}) => shellTask(id, "while :; do sleep 0.1; done", more);

test("a short command: one report with its output, which says that it was taken too, acknowledged in the journal", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const [register] = session.pages;
  assert.equal(register?.hostName, "web-1");
  assert.deepEqual(register?.labels, { rack: "r12" });
  assert.deepEqual([register?.entries, register?.storeId], [[], ""]);
  session.say(shellTask(1, "echo out; echo err >&2; exit 3"));
  const report = await dispatcher.ended(1);
  assert.deepEqual([report.event, report.exitCode], [TaskEvent.FAILED, 3]);
  const heard = session.heard.map(({ case: kind }) => kind);
  // A machine that is so busy that it takes long answers before.
  const beside = new Set(["hostStatusReport", "commandAck"]);
  const told = heard.filter((kind) => kind !== undefined && !beside.has(kind));
  assert.deepEqual(told.slice(0, 2), ["register", "commandReports"]);
  assert.deepEqual(
    [report.restEmpty, report.lengths.map(({ stream }) => stream)],
    [true, [STDOUT, STDERR]],
  );
  assert.equal(dispatcher.acks[0]?.result, AckResult.ACCEPTED);
  await acknowledged(agent, 1);
  assert.equal(dispatcher.stored(1, STDOUT).toString(), "out\n");
  assert.equal(dispatcher.stored(1, STDERR).toString(), "err\n");
});

test("a longer command is answered before it is over, reports its start, and a cancel ends it", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  session.say(longTask(1));
  session.say(longTask(2));
  await until(() => session.all("commandAck").length > 0, "an answer");
  await until(() => dispatcher.reports.length === 1, "the start");
  assert.equal(dispatcher.reports[0]?.event, TaskEvent.STARTED);
  session.say({ case: "cancelCommand", value: { taskId: 1n, attempt: 1, reason: "enough" } });
  const report = await dispatcher.ended(1);
  assert.equal(report.event, TaskEvent.CANCELLED);
  assert.match(report.reason, /enough/);
  await acknowledged(agent, 1);
  session.say({ case: "cancelCommand", value: { taskId: 2n, attempt: 1, reason: "" } });
  await acknowledged(agent, 2);
});

test("a repeated command is acknowledged, not run, and its last report sent again", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const count = `echo once >> ${agent.folders.prefix}/ran`;
  session.say(shellTask(1, `${count}; cat ${agent.folders.prefix}/ran`));
  session.say(shellTask(1, count));
  await acknowledged(agent, 1);
  dispatcher.reports.length = 0;
  session.say(shellTask(1, count));
  await until(() => dispatcher.reports.length > 0, "the report once more");
  // Of the first one its report may be the only answer.
  assert.ok(dispatcher.acks.length >= 2, String(dispatcher.acks.length));
  assert.ok(dispatcher.acks.every(({ result }) => result === AckResult.ACCEPTED));
  assert.equal(dispatcher.reports.at(-1)?.event, TaskEvent.SUCCEEDED);
  assert.equal(dispatcher.stored(1, STDOUT).toString(), "once\n");
});

test("a cancel that overtakes its command keeps it from starting", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  session.say({ case: "cancelCommand", value: { taskId: 1n, attempt: 1, reason: "not today" } });
  session.say(shellTask(1, `touch ${agent.folders.prefix}/ran`));
  session.say(shellTask(2, `touch ${agent.folders.prefix}/ran`, { cancelRequested: true }));
  session.say(shellTask(3, `ls ${agent.folders.prefix}`));
  const report = await dispatcher.ended(1);
  assert.deepEqual([report.event, report.reason], [TaskEvent.CANCELLED, "not today"]);
  assert.equal((await dispatcher.ended(2)).event, TaskEvent.CANCELLED);
  await dispatcher.ended(3);
  await acknowledged(agent, 3);
  assert.doesNotMatch(dispatcher.stored(3, STDOUT).toString(), /ran/);
  const kinds = session.heard.flatMap(({ case: kind, value }) => {
    if (kind === "commandReports") return value.reports.map(({ taskId }) => `report ${taskId}`);
    return "taskId" in value ? `${kind} ${value.taskId}` : kind;
  });
  assert.ok(kinds.includes("commandAck 1"), String(kinds));
  assert.ok(kinds.indexOf("commandAck 1") < kinds.indexOf("report 1"), String(kinds));
});

test("another attempt waits for the former one's end; a former attempt is refused", async (t) => {
  const dispatcher = await serveDispatcher(t);
  startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  session.say(longTask(1, { attempt: 2 }));
  session.say(shellTask(1, "true", { attempt: 3 }));
  session.say(shellTask(1, "true", { attempt: 1 }));
  await until(() => dispatcher.acks.length === 3, "three answers");
  const results = dispatcher.acks.map(({ attempt, result }) => [attempt, result]);
  assert.deepEqual(results.sort(), [
    [1, AckResult.REFUSED],
    [2, AckResult.ACCEPTED],
    [3, AckResult.ATTEMPT_ALIVE],
  ]);
  session.say({ case: "cancelCommand", value: { taskId: 1n, attempt: 2, reason: "" } });
  await dispatcher.ended(1, 2);
  session.say(shellTask(1, "true", { attempt: 3 }));
  assert.equal((await dispatcher.ended(1, 3)).event, TaskEvent.SUCCEEDED);
});

test("background commands run beside the others, which wait for each other", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  const session = await dispatcher.session();
  const { prefix } = agent.folders;
  const wait = (name: string) => `until test -e ${prefix}/${name}; do sleep 0.02; done`;
  session.say(shellTask(1, wait("go"), {}, { background: true }));
  session.say(shellTask(2, `touch ${prefix}/second`));
  session.say(shellTask(3, `test -e ${prefix}/second && touch ${prefix}/go`));
  for (const task of [1, 2, 3]) {
    assert.equal((await dispatcher.ended(task)).event, TaskEvent.SUCCEEDED, `task ${task}`);
  }
});

test("no more reports are under way than the credit", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.result = { maxUnackedReports: 3 };
  dispatcher.script.holdAcks = true;
  const session = await dispatcher.session();
  const tasks = Array.from({ length: 12 }, (_, at) => at + 1);
  for (const task of tasks) session.say(shellTask(task, "true"));
  await until(() => agent.journal().filter(({ state }) => state === "ENDED").length === 12, "ends");
  await until(() => dispatcher.reports.length >= 3, "reports");
  assert.equal(dispatcher.reports.length, 3);
  dispatcher.releaseAcks();
  for (const task of tasks) await acknowledged(agent, task);
  assert.equal(dispatcher.mostUnacked, 3);
});

test("what is refused is forgotten, what is stale or not understood is reported again", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.outcome = ReportOutcome.REFUSED;
  (await dispatcher.session()).say(shellTask(1, "true"));
  await acknowledged(agent, 1);
  const notKnown: ReportOutcome = Number("99");
  for (const outcome of [ReportOutcome.STALE_SESSION, notKnown]) {
    dispatcher.script.outcome = outcome;
    const task = outcome + 10;
    const session = await dispatcher.session();
    session.say(shellTask(task, "true"));
    await dispatcher.ended(task);
    if (outcome === notKnown) dispatcher.cut();
    await until(() => session.over, "the end of the session");
    dispatcher.script.outcome = ReportOutcome.RECORDED;
    await acknowledged(agent, task);
    const ends = dispatcher.reports.filter(({ event }) => event !== TaskEvent.STARTED);
    assert.equal(ends.filter(({ taskId }) => taskId === BigInt(task)).length, 2);
  }
});

test("acknowledgements of what was not reported change nothing", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdAcks = true;
  const session = await dispatcher.session();
  session.say(shellTask(1, "exit 1"));
  await dispatcher.ended(1);
  const { RECORDED } = ReportOutcome;
  const acked = { taskId: 1n, attempt: 1, outcome: RECORDED };
  const acks = [
    { ...acked, event: TaskEvent.SUCCEEDED },
    { ...acked, event: TaskEvent.STARTED },
    { ...acked, event: TaskEvent.FAILED, attempt: 2 },
    { ...acked, event: TaskEvent.FAILED, taskId: 9n },
    { ...acked, event: TaskEvent.FAILED, taskId: -9n },
  ];
  session.say({ case: "reportAck", value: { acks } });
  session.say(shellTask(2, "true"));
  await dispatcher.ended(2);
  assert.equal(agent.entry(1)?.acknowledgedAtMs, null);
  dispatcher.releaseAcks();
  await acknowledged(agent, 1);
});

test("registration lists what is unfinished or unacknowledged, a thousand a message", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdAcks = true;
  const first = await dispatcher.session();
  const count = 2_100;
  first.say(shellTask(1, "true"));
  await dispatcher.ended(1);
  first.say(longTask(2));
  for (let task = 3; task <= count; task += 1) first.say(shellTask(task, "true"));
  await until(() => dispatcher.acks.length === count, "the acknowledgements");
  dispatcher.script.verdicts = ([page]) => {
    assert.equal(page?.storeId, testStore);
    return Array.from({ length: count - 2 }, (_, at) => ({
      taskId: BigInt(at + 3),
      attempt: 1,
      verdict: Verdict.CANCEL,
      reason: "all of them",
    }));
  };
  dispatcher.cut();
  await until(() => first.over, "the end of the session");
  const second = await dispatcher.session();
  assert.deepEqual(
    second.pages.map(({ entries, more }) => [entries.length, more]),
    [
      [1_000, true],
      [1_000, true],
      [100, false],
    ],
  );
  const states = second.pages.flatMap(({ entries }) => entries.map(({ state }) => state));
  assert.deepEqual(states.slice(0, 3), [
    JournalState.ENDED,
    JournalState.RUNNING,
    JournalState.RECEIVED,
  ]);
  dispatcher.releaseAcks();
  await dispatcher.ended(count);
  await acknowledged(agent, count);
  assert.equal(agent.entry(count)?.result?.reason, "all of them");
  second.say({ case: "cancelCommand", value: { taskId: 2n, attempt: 1, reason: "" } });
  await acknowledged(agent, 2);
});

test("verdicts: keep, cancel, forget and report", async (t) => {
  const dispatcher = await serveDispatcher(t);
  const agent = startAgent(t, dispatcher.address);
  dispatcher.script.holdAcks = true;
  const first = await dispatcher.session();
  const { prefix } = agent.folders;
  first.say(shellTask(1, "echo forget"));
  first.say(shellTask(2, "echo report"));
  await dispatcher.ended(2);
  first.say(shellTask(3, `until test -e ${prefix}/go; do sleep 0.05; done`));
  first.say(shellTask(4, `touch ${prefix}/cancelled-ran`));
  first.say(shellTask(5, `touch ${prefix}/forgotten-ran`));
  await until(() => dispatcher.acks.length === 5, "the acknowledgements");
  const { FORGET, REPORT, KEEP, CANCEL } = Verdict;
  dispatcher.script.verdicts = () =>
    [FORGET, REPORT, KEEP, CANCEL, FORGET].map((verdict, at) => ({
      ...{ taskId: BigInt(at + 1), attempt: 1, verdict },
      reason: "the server says so",
    }));
  const reported = dispatcher.reports.length;
  dispatcher.cut();
  await until(() => first.over, "the end of the session");
  const second = await dispatcher.session();
  dispatcher.releaseAcks();
  for (const task of [1, 2, 4, 5]) await acknowledged(agent, task);
  const again = dispatcher.reports.slice(reported).map(({ taskId, event }) => [taskId, event]);
  assert.ok(!again.some(([task]) => task === 1n), "what is to be forgotten was reported again");
  assert.ok(again.some(([task, event]) => task === 2n && event === TaskEvent.SUCCEEDED));
  assert.ok(again.some(([task, event]) => task === 4n && event === TaskEvent.CANCELLED));
  second.say(shellTask(6, `touch ${prefix}/go; ls ${prefix}`, {}, { background: true }));
  assert.equal((await dispatcher.ended(3)).event, TaskEvent.SUCCEEDED);
  await acknowledged(agent, 6);
  assert.doesNotMatch(dispatcher.stored(6, STDOUT).toString(), /-ran/);
});
