import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AlertResultSchema, AlertState } from "@howdah/proto/howdah/v1/alert";
import type { ExecuteAlertResponse } from "@howdah/proto/howdah/v1/dispatcher_service";
import { eventually } from "../testing/eventually.js";
import { deferred, Fixture, type RunningDispatcher } from "../testing/fixture.js";
import type { RawAgent } from "../testing/raw-agent.js";

interface Asked {
  readonly schedulerToken?: bigint;
  readonly name?: string;
  readonly hostIds?: bigint[];
  readonly timeoutMs?: bigint;
}

const cluster = { clusterId: 1n, clusterName: "c1", definitionsDigest: "defs" };

/** Registers the host web-AT. */
async function host({ agent }: RunningDispatcher, at: number) {
  const one = agent();
  const ids = { agentId: `agent-${at}`, journalId: `journal-${at}` };
  const { hostId, sessionEpoch } = await one.register(`web-${at}`, ids);
  return { agent: one, hostId, sessionEpoch };
}

/** A dispatcher with the host web-1. */
async function begin(t: TestContext) {
  const fixture = await Fixture.start(t);
  const running = await fixture.dispatcher();
  return { fixture, running, one: await host(running, 1) };
}

/** Calls ExecuteAlert; what came so far, and how it ended. */
function execute({ client }: RunningDispatcher, hostIds: bigint[], more: Asked = {}) {
  const stop = new AbortController();
  const call = {
    answers: [] as ExecuteAlertResponse[],
    ended: undefined as "ok" | ConnectError | undefined,
    stop: () => stop.abort(),
    end: () => eventually("the end", () => call.ended !== undefined),
    /** Host and state or reason, by host. */
    get told() {
      return call.answers
        .map(
          ({ hostId, result, reason }) => `${hostId} ${result ? AlertState[result.state] : reason}`,
        )
        .sort();
    },
  };
  const run = async () => {
    const request = { schedulerToken: 1n, cluster, name: "port", hostIds, timeoutMs: 60_000n };
    const { signal } = stop;
    for await (const answer of client.executeAlert({ ...request, ...more }, { signal })) {
      call.answers.push(answer);
    }
  };
  void run().then(
    () => {
      call.ended = "ok";
    },
    (error: unknown) => {
      call.ended = ConnectError.from(error);
    },
  );
  return call;
}

function answer(
  agent: RawAgent,
  executionId: bigint,
  state: AlertState,
  { sequence = 1, definitionId = 5n } = {},
): void {
  const result = create(AlertResultSchema, {
    ...{ clusterId: 1n, definitionId, state, text: "found", executionId },
  });
  agent.say({ case: "alertReport", value: { sequence: BigInt(sequence), results: [result] } });
}

test("each host is told its alerts, the latest of what waits, ahead of the action queue", async (t) => {
  const { running, one } = await begin(t);
  const two = await host(running, 2);
  const stall = deferred();
  one.agent.stalled = stall.promise;
  const argv = ["x".repeat(100_000)];
  const { hostId, sessionEpoch } = one;
  const commands = Array.from({ length: 60 }, (_, index) => ({
    sessionEpoch,
    command: { taskId: BigInt(index + 1), attempt: 1, hostId, role: "RUN", spec: { argv } },
  }));
  for (let from = 0; from < 60; from += 20) {
    const part = commands.slice(from, from + 20);
    await running.client.enqueueCommands({ schedulerToken: 1n, commands: part });
  }
  const told = ({ agent }: { agent: RawAgent }) =>
    agent
      .all("alertDefinitionCommand")
      .map(({ clusters }) => clusters.map(({ definitionsDigest }) => definitionsDigest));
  for (let times = 0; times < 100; times += 1) {
    const command = { clusters: [{ ...cluster, definitionsDigest: `d${times}` }] };
    const definitions = [{ command, hostIds: [one.hostId, 4711n] }, { hostIds: [two.hostId] }];
    await running.client.sendAlertDefinitions({ schedulerToken: 1n, definitions });
  }
  stall.resolve();
  one.agent.stalled = undefined;
  await eventually("all commands", () => one.agent.all("executionCommand").length === 60);
  await two.agent.next("alertDefinitionCommand");
  assert.ok(told(one).length < 100, `${told(one).length} commands`);
  assert.deepEqual(told(one).at(-1), ["d99"]);
  assert.notEqual(one.agent.heard.at(-1)?.case, "alertDefinitionCommand");
  assert.deepEqual(told(two)[0], []);
});

test("what a host says of an alert that it does not have is told, and not recorded", async (t) => {
  const { fixture, running, one } = await begin(t);
  const call = execute(running, [one.hostId]);
  const { executionId } = await one.agent.next("alertExecutionCommand");
  answer(one.agent, executionId, AlertState.UNKNOWN, { definitionId: 0n });
  await call.end();
  assert.deepEqual([call.ended, ...call.told], ["ok", "1 UNKNOWN"]);
  assert.equal(call.answers[0]?.result?.text, "found");
  // Nobody waits for it any more.
  answer(one.agent, executionId, AlertState.UNKNOWN, { definitionId: 0n, sequence: 2 });
  await eventually("both", () => one.agent.all("alertReportAck").length === 2);
  assert.deepEqual([one.agent.all("unsupported"), fixture.store.alertBatches], [[], []]);
});

test("an execution is told after the commit, once for each host; those that are not there at once", async (t) => {
  const { fixture, running, one } = await begin(t);
  const two = await host(running, 2);
  const call = execute(running, [one.hostId, two.hostId, 4711n, one.hostId]);
  await eventually("who is not there", () => call.answers.length === 1);
  assert.deepEqual(call.told, ["4711 it is not connected"]);
  const commands = [
    await one.agent.next("alertExecutionCommand"),
    await two.agent.next("alertExecutionCommand"),
  ] as const;
  assert.deepEqual(
    [commands[0].name, commands[0].cluster?.definitionsDigest, commands[0].executionId > 0n],
    ["port", "defs", true],
  );
  const hold = deferred();
  fixture.store.hold = hold.promise;
  answer(one.agent, commands[0].executionId, AlertState.CRITICAL);
  await eventually("the call", () => fixture.store.alertBatches.length === 1);
  assert.equal(call.answers.length, 1);
  hold.resolve();
  await eventually("the first", () => call.answers.length === 2);
  assert.equal(call.ended, undefined);
  answer(two.agent, commands[1].executionId, AlertState.OK);
  await call.end();
  assert.equal(call.ended, "ok");
  assert.deepEqual(call.told, ["1 CRITICAL", "2 OK", "4711 it is not connected"]);
  assert.equal(call.answers.find(({ hostId }) => hostId === 1n)?.result?.text, "found");
  assert.equal(one.agent.all("alertExecutionCommand").length, 1);
});

test("what an execution found is never replaced by a later word", async (t) => {
  const { fixture, running, one } = await begin(t);
  const call = execute(running, [one.hostId]);
  const { executionId } = await one.agent.next("alertExecutionCommand");
  fixture.store.down = true;
  answer(one.agent, executionId, AlertState.WARNING);
  for (let sequence = 2; sequence < 50; sequence += 1) {
    answer(one.agent, 0n, AlertState.OK, { sequence });
    // The same once more is no second answer, and may not pile up.
    answer(one.agent, executionId, AlertState.UNKNOWN, { sequence });
  }
  await eventually("a try", () => fixture.store.alertBatches.length > 0);
  fixture.store.down = false;
  await call.end();
  assert.deepEqual(call.told, ["1 WARNING"]);
  await eventually("all acknowledgements", () => one.agent.all("alertReportAck").length === 97);
  const results = fixture.store.alertBatches.flatMap((batch) =>
    batch.flatMap((each) => each.results),
  );
  const again = results.filter(
    (result) => result.executionId !== 0n && result.state !== AlertState.WARNING,
  );
  assert.deepEqual(again, []);
});

test("a host whose session ends, or that says nothing, is answered with the reason", async (t) => {
  const { fixture, running, one } = await begin(t);
  const two = await host(running, 2);
  const call = execute(running, [one.hostId, two.hostId], { timeoutMs: 1_000n });
  const { executionId } = await one.agent.next("alertExecutionCommand");
  // It was found and not stored: it is not told.
  fixture.store.down = true;
  answer(one.agent, executionId, AlertState.OK);
  await eventually("a try", () => fixture.store.alertBatches.length > 0);
  one.agent.goodbye();
  await call.end();
  assert.deepEqual(call.told, [
    "1 its session ended before the result was stored",
    "2 its agent gave no answer within 1 s",
  ]);
});

test("an agent that cannot run alerts is not waited for", async (t) => {
  const { running, one } = await begin(t);
  const call = execute(running, [one.hostId]);
  await one.agent.next("alertExecutionCommand");
  one.agent.say({ case: "unsupported", value: { fieldNumber: 10, detail: "what is that?" } });
  one.agent.say({ case: "unsupported", value: { fieldNumber: 11, detail: "what is that?" } });
  await call.end();
  assert.deepEqual(call.told, ["1 its agent cannot run alerts"]);
});

test("a result that the store refuses is answered with why", async (t) => {
  const { running, one } = await begin(t);
  const call = execute(running, [one.hostId]);
  const { executionId } = await one.agent.next("alertExecutionCommand");
  const result = create(AlertResultSchema, {
    ...{ clusterId: 1n, definitionId: 5n, state: AlertState.OK, text: "POISON", executionId },
  });
  one.agent.say({ case: "alertReport", value: { sequence: 1n, results: [result] } });
  await call.end();
  assert.deepEqual(call.told, ["1 the store refused it: hosts: one of the results is bad"]);
});

test("a caller that goes away leaves nothing behind, and what comes late counts as any other", async (t) => {
  const { fixture, running, one } = await begin(t);
  const gone = execute(running, [one.hostId]);
  const { executionId } = await one.agent.next("alertExecutionCommand");
  gone.stop();
  await gone.end();
  const next = execute(running, [one.hostId]);
  await eventually("another", () => one.agent.all("alertExecutionCommand").length === 2);
  answer(one.agent, executionId, AlertState.CRITICAL);
  await one.agent.next("alertReportAck");
  const [result] = fixture.store.alertBatches[0]?.[0]?.results ?? [];
  assert.deepEqual([result?.state, result?.executionId], [AlertState.CRITICAL, 0n]);
  assert.deepEqual(next.answers, []);
  next.stop();
});

test("a hundred alerts wait for an agent that does not read, and none of callers that went away", async (t) => {
  const { running, one } = await begin(t);
  const stall = deferred();
  one.agent.stalled = stall.promise;
  t.after(() => stall.resolve());
  const name = "x".repeat(100_000);
  const refused = (calls: ReturnType<typeof execute>[]) =>
    calls.flatMap(({ told }) => told).filter((text) => /too many alerts wait/.test(text));
  const calls: ReturnType<typeof execute>[] = [];
  // Some are on their way to the agent already.
  for (let times = 0; times < 60; times += 1) {
    for (let at = 0; at < 5; at += 1) calls.push(execute(running, [one.hostId], { name }));
    await running.client.listSessions({});
    if (refused(calls).length > 0) break;
  }
  await eventually("one too many", () => refused(calls).length > 0);
  for (const call of calls) call.stop();
  await eventually("their end", () => calls.every(({ ended }) => ended !== undefined));
  const late = { name, timeoutMs: 500n };
  const next = Array.from({ length: 50 }, () => execute(running, [one.hostId], late));
  await eventually("their time to be up", () => next.every(({ ended }) => ended !== undefined));
  assert.deepEqual(
    [...new Set(next.flatMap(({ told }) => told))],
    ["1 its agent gave no answer within 0.5 s"],
  );
});

test("calls of a scheduler that has been replaced, or beyond the limits, are refused", async (t) => {
  const fixture = await Fixture.start(t);
  const running = await fixture.dispatcher();
  const { client } = running;
  await client.sendAlertDefinitions({ schedulerToken: 2n });
  const ids = (count: number) => Array.from({ length: count }, (_, index) => BigInt(index + 1));
  const refused = async (call: Promise<unknown>, code: Code, text: RegExp) => {
    await assert.rejects(call, (error: ConnectError) => {
      assert.equal(Code[error.code], Code[code]);
      assert.match(error.rawMessage, text);
      return true;
    });
  };
  const run = async (more: Asked) => {
    const usual = { schedulerToken: 2n, cluster, name: "port", hostIds: [1n], timeoutMs: 1_000n };
    for await (const _ of client.executeAlert({ ...usual, ...more }));
  };
  const send = (definitions: { hostIds: bigint[] }[], schedulerToken = 2n) =>
    client.sendAlertDefinitions({ schedulerToken, definitions });
  const { InvalidArgument, FailedPrecondition } = Code;
  await refused(send([], 1n), FailedPrecondition, /^scheduler_token: 1 is out of date/);
  await refused(send([{ hostIds: ids(10_001) }]), InvalidArgument, /^definitions: 10001 hosts in/);
  const twice = [{ hostIds: [1n] }, { hostIds: [1n] }];
  await refused(send(twice), InvalidArgument, /^definitions: host 1 is in it twice$/);
  await refused(run({ schedulerToken: 1n }), FailedPrecondition, /^scheduler_token: 1 is out/);
  await refused(run({ hostIds: ids(10_001) }), InvalidArgument, /^host_ids: 10001 hosts in one/);
  await refused(run({ name: "" }), InvalidArgument, /^name: is empty$/);
  await refused(run({ timeoutMs: 0n }), InvalidArgument, /^timeout_ms: 0 is not from 1 to 600000$/);
  await refused(run({ timeoutMs: 600_001n }), InvalidArgument, /^timeout_ms: 600001 is not from/);
});
