import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { HostStatusReportSchema } from "@howdah/proto/howdah/v1/agent_service";
import { eventually } from "../testing/eventually.js";
import { deferred, Fixture } from "../testing/fixture.js";
import type { RawAgent } from "../testing/raw-agent.js";

function say(agent: RawAgent, statusJson: string, problems: string[] = []): void {
  const value = create(HostStatusReportSchema, { statusJson, problems });
  agent.say({ case: "hostStatusReport", value });
}

/** What came to the store, batch by batch. */
function recorded({ store }: Fixture): string[][] {
  return store.hostStatusBatches.map((batch) => batch.map(({ statusJson }) => statusJson));
}

/** Waits until all that the agent said before has been read. */
async function read(agent: RawAgent): Promise<void> {
  const before = agent.acks.length;
  agent.say({ case: "commandReports", value: { reports: [{ taskId: 0n, attempt: 1, event: 2 }] } });
  await eventually("all of it to be read", () => agent.acks.length > before);
}

test("the answer to a registration tells the server's time", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher({ wallMs: () => 1_700_000_000_123 });
  const { serverTimeMs } = await agent().register("web-1");
  assert.equal(serverTimeMs, 1_700_000_000_123n);
});

test("how a host is goes to the store with its session; of what waits the newest word counts", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  const { hostId, sessionEpoch } = await one.register("web-1");
  const hold = deferred();
  fixture.store.hold = hold.promise;
  say(one, '{"n":1}', ["/ is full"]);
  await eventually("the first batch", () => fixture.store.hostStatusBatches.length === 1);
  for (const n of [2, 3, 4]) say(one, `{"n":${n}}`);
  await read(one);
  hold.resolve();
  await eventually("the next", () => fixture.store.hostStatusBatches.length === 2);
  assert.deepEqual(recorded(fixture), [['{"n":1}'], ['{"n":4}']]);
  const [first] = fixture.store.hostStatusBatches[0] ?? [];
  assert.deepEqual(first?.problems, ["/ is full"]);
  assert.deepEqual([first?.session?.hostId, first?.session?.sessionEpoch], [hostId, sessionEpoch]);
  assert.deepEqual(one.all("unsupported"), []);
});

test("one that the store refuses is dropped alone; while the store is away it is tried again", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const bad = agent();
  const good = agent();
  await bad.register("web-1");
  await good.register("web-2", { agentId: "agent-2", journalId: "journal-2" });
  fixture.store.down = true;
  say(bad, '{"bad":1}', ["POISON"]);
  say(good, '{"good":1}');
  await eventually("a try", () => fixture.store.hostStatusBatches.length > 0);
  fixture.store.down = false;
  await eventually("the good one alone", () =>
    recorded(fixture).some((batch) => batch.length === 1 && batch[0] === '{"good":1}'),
  );
  say(good, '{"good":2}');
  await eventually("its next word", () => recorded(fixture).at(-1)?.[0] === '{"good":2}');
});

test("what is no status is refused, and the session goes on", async (t) => {
  const fixture = await Fixture.start(t);
  const { agent } = await fixture.dispatcher();
  const one = agent();
  await one.register("web-1");
  say(one, "[]");
  say(one, "{");
  say(one, `{"x":"${"x".repeat(40_000)}"}`);
  say(
    one,
    "{}",
    Array.from({ length: 21 }, () => "p"),
  );
  say(one, "{}", ["p".repeat(1_001)]);
  await eventually("the refusals", () => one.all("unsupported").length === 5);
  assert.deepEqual(
    one
      .all("unsupported")
      .map(({ fieldNumber, detail }) => `${fieldNumber} ${detail}`.slice(0, 40)),
    [
      '9 status_json: it is no JSON object: "[]"',
      '9 status_json: it is no JSON object: "{"',
      "9 status_json: 40008 bytes, at most 32768",
      "9 problems: 21 in one message, at most 20",
      "9 problems: one has more than 1000 chara",
    ].map((text) => text.slice(0, 40)),
  );
  say(one, "{}");
  await eventually("a good one", () => recorded(fixture).length === 1);
});
