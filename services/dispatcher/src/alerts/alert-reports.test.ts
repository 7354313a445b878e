import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type AlertResult, AlertResultSchema, AlertState } from "@howdah/proto/howdah/v1/alert";
import { eventually } from "../testing/eventually.js";
import { deferred, Fixture } from "../testing/fixture.js";
import type { RawAgent } from "../testing/raw-agent.js";
import { createAlertAcks } from "./alert-acks.js";

const { OK, WARNING, CRITICAL, SKIPPED } = AlertState;

type Init = MessageInitShape<typeof AlertResultSchema>;

/** A result of definition `definitionId` of cluster 1. */
function found(definitionId: number, state: AlertState, text = "", more: Init = {}): Init {
  return { clusterId: 1n, definitionId: BigInt(definitionId), state, text, ...more };
}

function tell(agent: RawAgent, sequence: number, results: Init[], stale: number[] = []): void {
  agent.say({
    case: "alertReport",
    value: {
      sequence: BigInt(sequence),
      results: results.map((one) => create(AlertResultSchema, one)),
      staleDefinitionIds: stale.map(BigInt),
    },
  });
}

/** The reports that were acknowledged, in order. */
function acked(agent: RawAgent): number[] {
  return agent.all("alertReportAck").map(({ sequence }) => Number(sequence));
}

const words = ({ definitionId, state }: AlertResult) => `${definitionId} ${AlertState[state]}`;

/** What came to the store, call by call, of all hosts together. */
function recorded({ store }: Fixture): string[][] {
  return store.alertBatches.map((hosts) => hosts.flatMap(({ results }) => results.map(words)));
}

/** Waits until the dispatcher has read all that the agent said. */
async function read(agent: RawAgent): Promise<void> {
  const before = agent.acks.length;
  agent.say({ case: "commandReports", value: { reports: [{ taskId: 0n, attempt: 1, event: 2 }] } });
  await eventually("all of it to be read", () => agent.acks.length > before);
}

test("what an agent found goes to the store with its session, and is acknowledged after the commit", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const hold = deferred();
  fixture.store.hold = hold.promise;
  tell(one, 7, [found(1, CRITICAL, "down", { ageMs: 500n }), found(2, OK)], [3]);
  await eventually("the call", () => fixture.store.alertBatches.length === 1);
  await read(one);
  assert.deepEqual(acked(one), []);
  hold.resolve();
  await eventually("the acknowledgement", () => acked(one).length === 1);
  assert.deepEqual(acked(one), [7]);
  const [host] = fixture.store.alertBatches[0] ?? [];
  assert.deepEqual(
    [host?.session?.hostId, host?.session?.sessionEpoch, host?.staleDefinitionIds],
    [hostId, sessionEpoch, [3n]],
  );
  assert.deepEqual(recorded(fixture), [["1 CRITICAL", "2 OK"]]);
  const [down] = host?.results ?? [];
  assert.equal(down?.text, "down");
  assert.ok((down?.ageMs ?? 0n) >= 500n);
});

test("an empty report is acknowledged; one that only says what is stale is passed on", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  tell(one, 1, []);
  await eventually("the first", () => acked(one).length === 1);
  assert.equal(fixture.store.alertBatches.length, 0);
  tell(one, 2, [], [4, 5]);
  await eventually("the second", () => acked(one).length === 2);
  tell(one, 3, [], [5, 4]);
  tell(one, 4, [], []);
  await eventually("the others", () => acked(one).length === 4);
  const stale = fixture.store.alertBatches.map((hosts) => hosts[0]?.staleDefinitionIds);
  assert.deepEqual(stale, [[4n, 5n], []]);
});

test("while a call is under way the newest word of each alert waits, and everything is acknowledged", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const agents = [agent(), agent()] as const;
  await agents[0].register("web-1");
  await agents[1].register("web-2", { agentId: "agent-2", journalId: "journal-2" });
  const hold = deferred();
  fixture.store.hold = hold.promise;
  tell(agents[0], 1, [found(1, OK)]);
  await eventually("the first call", () => fixture.store.alertBatches.length === 1);
  for (let times = 0; times < 500; times += 1) {
    const states = [times % 2 === 0 ? WARNING : OK, SKIPPED] as const;
    for (const each of agents)
      tell(
        each,
        10 + times,
        states.map((state) => found(1, state)),
      );
  }
  for (const each of agents) await read(each);
  // What a later word has replaced is done with, and acknowledged unless an older one is not yet.
  assert.deepEqual(
    agents.map((each) => acked(each).length),
    [0, 499],
  );
  hold.resolve();
  await eventually("the next", () => recorded(fixture).flat().length === 3);
  await eventually("all acknowledgements", () => acked(agents[0]).length === 501);
  await eventually("all of the other", () => acked(agents[1]).length === 500);
  assert.deepEqual(recorded(fixture), [["1 OK"], ["1 OK", "1 OK"]]);
});

test("what is not OK counts as often as it was told while the store was away, at most 100 times", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  fixture.store.down = true;
  tell(one, 1, [found(1, OK)]);
  await eventually("a try", () => fixture.store.alertBatches.length > 0);
  for (let at = 1; at <= 3; at += 1) tell(one, 1 + at, [found(1, CRITICAL, `${at}`)]);
  tell(one, 5, [found(1, SKIPPED)]);
  for (let at = 0; at < 150; at += 1) tell(one, 6 + at, [found(2, WARNING)]);
  await read(one);
  fixture.store.alertBatches.length = 0;
  fixture.store.down = false;
  await eventually("all acknowledgements", () => acked(one).length === 155);
  assert.deepEqual(
    acked(one),
    Array.from({ length: 155 }, (_, index) => index + 1),
  );
  const all = recorded(fixture).flat();
  assert.equal(all.filter((word) => word === "1 CRITICAL").length, 3);
  assert.equal(all.filter((word) => word === "2 WARNING").length, 100);
  assert.equal(all.length, 103);
  const critical = fixture.store.alertBatches
    .flatMap((hosts) => hosts.flatMap(({ results }) => results))
    .filter(({ state }) => state === CRITICAL);
  assert.deepEqual([...new Set(critical.map(({ text }) => text))], ["3"]);
});

test("what a session said that has ended is dropped unacknowledged; the others' is tried again", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const [stays, goes] = [agent(), agent()];
  await stays.register("web-1");
  await goes.register("web-2", { agentId: "agent-2", journalId: "journal-2" });
  fixture.store.down = true;
  tell(stays, 1, [found(1, OK)]);
  await eventually("a try", () => fixture.store.alertBatches.length > 0);
  tell(goes, 1, [found(9, CRITICAL)]);
  tell(stays, 2, [found(1, WARNING), found(2, CRITICAL)]);
  goes.goodbye();
  await goes.end();
  fixture.store.down = false;
  await eventually("the rest", () => acked(stays).length === 2);
  const flat = recorded(fixture).flat();
  assert.ok(!flat.includes("9 CRITICAL"));
  assert.ok(flat.includes("1 WARNING") && flat.includes("2 CRITICAL"));
  assert.deepEqual(acked(goes), []);
});

test("rubbish is answered with what is wrong and acknowledged, and the rest of it counts", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  const rubbish: [Init, RegExp][] = [
    [found(1, OK, "", { clusterId: 0n }), /^cluster_id: 0 is no cluster$/],
    [found(-1, OK), /^definition_id: -1 is no definition$/],
    [found(0, OK), /^definition_id: 0 is no definition$/],
    [found(1, AlertState.UNSPECIFIED), /^state: UNSPECIFIED is not for an agent to say$/],
    [found(1, 4711 as AlertState), /^state: 4711 is not for an agent to say$/],
    [found(1, OK, "", { ageMs: -1n }), /^age_ms: -1 is in the future$/],
    [found(1, OK, "", { executionId: -1n }), /^execution_id: -1 is no execution$/],
  ];
  for (const [index, [bad, expected]] of rubbish.entries()) {
    tell(one, index, [bad, found(100 + index, OK)]);
    await eventually("an answer", () => one.all("unsupported").length === index + 1);
    const answer = one.all("unsupported")[index];
    assert.equal(answer?.fieldNumber, 8);
    assert.match(answer?.detail ?? "", expected);
  }
  await eventually("the good ones", () => acked(one).length === rubbish.length);
  assert.deepEqual(
    recorded(fixture).flat(),
    rubbish.map((_, index) => `${100 + index} OK`),
  );
  tell(one, 50, [], [0]);
  tell(
    one,
    51,
    Array.from({ length: 1_001 }, (_, index) => found(index + 1, OK)),
  );
  await eventually("both refused", () => acked(one).length === rubbish.length + 2);
  const details = one.all("unsupported").map(({ detail }) => detail);
  assert.match(details.at(-2) ?? "", /^stale_definition_ids: 0 is no definition$/);
  assert.match(details.at(-1) ?? "", /^results: 1001 in one message, at most 1000$/);
});

test("a text is cut at 4,000 characters, not in the middle of one", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  tell(one, 1, [found(1, OK, "🐘".repeat(9_000)), found(2, OK, "é".repeat(4_000))]);
  await eventually("the call", () => acked(one).length === 1);
  const texts = fixture.store.alertBatches[0]?.[0]?.results.map(({ text }) => [...text].length);
  assert.deepEqual(texts, [4_000, 4_000]);
});

test("an agent that names alerts without end is held to a thousand, and calls to what a message holds", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  fixture.store.down = true;
  const many = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => found(from + index, OK, "x".repeat(4_000)));
  tell(one, 1, many(1, 500));
  tell(one, 2, many(401, 600));
  tell(one, 3, many(5_000, 1));
  await eventually("an answer", () => one.all("unsupported").length === 1);
  assert.match(one.all("unsupported")[0]?.detail ?? "", /^results: more than 1000 alerts wait to/);
  fixture.store.alertBatches.length = 0;
  fixture.store.down = false;
  await eventually("all", () => acked(one).length === 3);
  assert.equal(new Set(recorded(fixture).flat()).size, 1_000);
  for (const batch of recorded(fixture)) assert.ok(batch.length <= 87, `${batch.length} at once`);
});

test("a result that the store refuses blocks no other and is acknowledged", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  tell(one, 1, [found(1, OK), found(2, OK, "POISON"), found(3, OK)]);
  await eventually("the acknowledgement", () => acked(one).length === 1);
  const good = fixture.store.alertBatches.filter((hosts) =>
    hosts.every(({ results }) => results.every(({ text }) => text !== "POISON")),
  );
  assert.deepEqual(
    good.flatMap((hosts) => hosts.flatMap(({ results }) => results.map(words))),
    ["1 OK", "3 OK"],
  );
});

test("reports are acknowledged in their order, unless too many are held back", () => {
  const told: number[] = [];
  const acks = createAlertAcks((sequence) => told.push(Number(sequence)));
  const [one, two, three] = [acks.begin(1n), acks.begin(2n), acks.begin(3n)];
  two();
  assert.deepEqual(told, []);
  one();
  assert.deepEqual(told, [1, 2]);
  const late = Array.from({ length: 1_000 }, (_, index) => acks.begin(BigInt(4 + index)));
  for (const done of late) done();
  assert.deepEqual(told, [1, 2, 4]);
  three();
  assert.deepEqual([told[3], told.length], [3, 1_003]);
});
