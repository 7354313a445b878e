import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { type ComponentStatus, ComponentStatusSchema } from "@howdah/proto/howdah/v1/agent_service";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { eventually } from "./testing/eventually.js";
import { deferred, Fixture } from "./testing/fixture.js";
import type { RawAgent } from "./testing/raw-agent.js";

const { STARTED, INSTALLED } = ComponentState;

function say(agent: RawAgent, ...statuses: [name: string, state: ComponentState][]): void {
  tell(
    agent,
    statuses.map(([componentName, state]) => ({ clusterId: 1n, componentName, state })),
  );
}

function tell(agent: RawAgent, statuses: MessageInitShape<typeof ComponentStatusSchema>[]): void {
  agent.say({
    case: "componentStatusReport",
    value: {
      statuses: statuses.map((one) => create(ComponentStatusSchema, one) as ComponentStatus),
    },
  });
}

/** What came to the store, batch by batch. */
function recorded({ store }: Fixture): string[][] {
  return store.statusBatches.map((batch) =>
    batch.map(({ componentName, state }) => `${componentName} ${ComponentState[state]}`),
  );
}

test("a status goes to the store with its host and session", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  say(one, ["NN", STARTED], ["DN", INSTALLED], ["NN", INSTALLED]);
  await eventually("the batch", () => fixture.store.statusBatches.length > 0);
  assert.deepEqual(recorded(fixture), [["NN INSTALLED", "DN INSTALLED"]]);
  const [first] = fixture.store.statusBatches[0] ?? [];
  assert.deepEqual(
    [first?.hostId, first?.sessionEpoch, first?.clusterId],
    [hostId, sessionEpoch, 1n],
  );
  assert.deepEqual(one.all("unsupported"), []);
});

test("while a batch is under way the newest word of each component waits, and is the next batch", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const agents = [agent(), agent()] as const;
  await agents[0].register("web-1");
  await agents[1].register("web-2", { agentId: "agent-2", journalId: "journal-2" });
  const hold = deferred();
  fixture.store.hold = hold.promise;
  say(agents[0], ["NN", STARTED]);
  await eventually("the first batch", () => fixture.store.statusBatches.length === 1);
  for (let times = 0; times < 50; times += 1) {
    for (const each of agents) say(each, ["NN", times % 2 === 0 ? STARTED : INSTALLED]);
  }
  for (const each of agents) {
    each.say({
      case: "commandReports",
      value: { reports: [{ taskId: 0n, attempt: 1, event: 2 }] },
    });
    await eventually("all of it to be read", () => each.acks.length === 1);
  }
  hold.resolve();
  await eventually("the next", () => fixture.store.statusBatches.flat().length === 3);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(recorded(fixture), [["NN STARTED"], ["NN INSTALLED", "NN INSTALLED"]]);
});

test("what the store could not take is tried again with the newest word, and dropped with its session", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const stays = agent();
  const goes = agent();
  await stays.register("web-1");
  await goes.register("web-2", { agentId: "agent-2", journalId: "journal-2" });
  fixture.store.down = true;
  say(stays, ["NN", STARTED]);
  await eventually("a try", () => fixture.store.statusBatches.length > 0);
  say(goes, ["GONE", STARTED]);
  say(stays, ["NN", INSTALLED], ["DN", STARTED]);
  goes.goodbye();
  await goes.end();
  fixture.store.down = false;
  await eventually("the rest", () => recorded(fixture).flat().includes("DN STARTED"));
  const flat = recorded(fixture).flat();
  assert.ok(!flat.includes("GONE STARTED"));
  assert.equal(flat.filter((one) => one.startsWith("NN")).at(-1), "NN INSTALLED");
});

test("rubbish is answered with what is wrong, and the rest of it counts", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const good = { clusterId: 1n, componentName: "NN", state: STARTED };
  const rubbish: [MessageInitShape<typeof ComponentStatusSchema>, RegExp][] = [
    [{ ...good, clusterId: 0n }, /^cluster_id: 0 is no cluster$/],
    [{ ...good, componentName: "" }, /^component_name: it is empty$/],
    [{ ...good, componentName: "x".repeat(1 << 20) }, /^component_name: 1048576 characters, at/],
    [{ ...good, state: ComponentState.UNKNOWN }, /^state: UNKNOWN is not for an agent to say$/],
    [{ ...good, state: 4711 as ComponentState }, /^state: 4711 is not for an agent to say$/],
  ];
  for (const [index, [bad, expected]] of rubbish.entries()) {
    tell(one, [bad, { ...good, componentName: `GOOD${index}` }]);
    await eventually("an answer", () => one.all("unsupported").length === index + 1);
    const answer = one.all("unsupported")[index];
    assert.equal(answer?.fieldNumber, 7);
    assert.match(answer?.detail ?? "", expected);
  }
  await eventually("the good ones", () => recorded(fixture).flat().length === 5);
  assert.deepEqual(
    recorded(fixture).flat(),
    rubbish.map((_, index) => `GOOD${index} STARTED`),
  );
});

test("an agent that names components without end is held to a thousand", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const many = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      ...{ clusterId: 1n, componentName: `C${from + index}`, state: STARTED },
    }));
  tell(one, many(0, 100_000));
  await eventually("an answer", () => one.all("unsupported").length === 1);
  assert.match(one.all("unsupported")[0]?.detail ?? "", /^statuses: 100000 components in one mess/);
  assert.deepEqual(fixture.store.statusBatches, []);

  fixture.store.down = true;
  tell(one, many(0, 900));
  tell(one, many(800, 200));
  tell(one, many(1_000, 1));
  await eventually("another", () => one.all("unsupported").length === 2);
  assert.match(
    one.all("unsupported")[1]?.detail ?? "",
    /^statuses: more than 1000 components wait/,
  );
  fixture.store.down = false;
  await eventually("all", () => new Set(recorded(fixture).flat()).size === 1_000);
});

test("a status that the store refuses blocks no other", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  say(one, ["A", STARTED], ["POISON", STARTED], ["B", STARTED]);
  await eventually("the others", () => {
    const whole = recorded(fixture).filter((batch) => !batch.includes("POISON STARTED"));
    return whole.flat().length === 2;
  });
});

function check(componentName: string, hostIds: bigint[]) {
  return { check: { componentName }, hostIds };
}

function checked(agent: RawAgent): string[][] {
  return agent.all("statusCommand").map(({ checks }) => checks.map((one) => one.componentName));
}

test("each host gets one command with all of its checks; hosts without a session are passed over", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const [one, two, three] = [agent(), agent(), agent()];
  const first = await one.register("web-1");
  const second = await two.register("web-2", { agentId: "a2", journalId: "j2" });
  const third = await three.register("web-3", { agentId: "a3", journalId: "j3" });
  const hosts = [first.hostId, second.hostId];
  await client.sendStatusCommands({
    schedulerToken: 1n,
    checks: [
      check("DN", [...hosts, 4711n]),
      check("NN", [first.hostId]),
      { hostIds: [third.hostId] },
    ],
  });
  for (const each of [one, two, three]) await each.next("statusCommand");
  assert.deepEqual([checked(one), checked(two), checked(three)], [[["DN", "NN"]], [["DN"]], [[]]]);
});

test("of commands that are not written yet the latest counts, and they go ahead of the action queue", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent, client } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const stall = deferred();
  one.stalled = stall.promise;
  const argv = ["x".repeat(100_000)];
  const commands = Array.from({ length: 60 }, (_, index) => ({
    sessionEpoch,
    command: { taskId: BigInt(index + 1), attempt: 1, hostId, role: "RUN", spec: { argv } },
  }));
  for (let from = 0; from < 60; from += 20) {
    await client.enqueueCommands({ schedulerToken: 1n, commands: commands.slice(from, from + 20) });
  }
  for (let times = 0; times < 100; times += 1) {
    await client.sendStatusCommands({ schedulerToken: 1n, checks: [check(`C${times}`, [hostId])] });
  }
  stall.resolve();
  one.stalled = undefined;
  await eventually("everything", () => one.all("executionCommand").length === 60);
  assert.ok(checked(one).length < 100, `${checked(one).length} commands`);
  assert.deepEqual(checked(one).at(-1), ["C99"]);
  assert.notEqual(one.heard.at(-1)?.case, "statusCommand");
});

test("status commands of a scheduler that has been replaced, or beyond the limits, are refused", async (t) => {
  const fixture = await Fixture.start(t);
  const { client } = await fixture.dispatcher();
  await client.sendStatusCommands({ schedulerToken: 2n });
  const code = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: ConnectError) => [error.code, error.rawMessage],
    );
  const hosts = (count: number) => Array.from({ length: count }, (_, index) => BigInt(index + 1));
  assert.equal(
    (await code(client.sendStatusCommands({ schedulerToken: 1n })))?.[0],
    Code.FailedPrecondition,
  );
  const cases: [ReturnType<typeof check>[], RegExp][] = [
    [[check("NN", hosts(1_001))], /^checks: more than 1000 hosts$/],
    [
      Array.from({ length: 101 }, () => check("NN", hosts(1_000))),
      /^checks: more than 100000 for all/,
    ],
  ];
  for (const [checks, expected] of cases) {
    const [found, text] =
      (await code(client.sendStatusCommands({ schedulerToken: 2n, checks }))) ?? [];
    assert.equal(found, Code.InvalidArgument);
    assert.match(String(text), expected);
  }
  await client.sendStatusCommands({ schedulerToken: 2n, checks: [check("NN", hosts(1_000))] });
});
