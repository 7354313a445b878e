import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { AlertDefinitionCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import { AlertResultSchema, ClusterAlertsSchema } from "@howdah/proto/howdah/v1/alert";
import { SessionSchema } from "@howdah/proto/howdah/v1/dispatcher_service";
import {
  type AlertTargets,
  AlertTargetsSchema,
  EvaluateServerAlertsResponseSchema,
  ListAlertTargetsResponseSchema,
} from "@howdah/proto/howdah/v1/store_alerts";
import { pino } from "pino";
import { eventually, stays } from "../testing/eventually.js";
import { AlertWatch } from "./alert-watch.js";
import { definitionBatches } from "./definition-batches.js";

function cluster(id: number, hosts: number[], { version = 1, digest = "d" } = {}): AlertTargets {
  return create(AlertTargetsSchema, {
    version: BigInt(version),
    alerts: {
      ...{ clusterId: BigInt(id), clusterName: `c${id}`, definitionsDigest: digest },
      packageDigests: { HDFS: "one", YARN: "two" },
    },
    hostIds: hosts.map(BigInt),
  });
}

/** Watches alerts of a store and dispatchers in this process; ends with the test. */
function start(t: TestContext, everyMs = 30) {
  const world = {
    /** The clusters of the store. */
    clusters: [] as AlertTargets[],
    /** What was sent, call by call: `DISPATCHER: CLUSTER/DIGEST CLUSTER/DIGEST@HOST,HOST …`. */
    sent: [] as string[],
    /** How many clusters each answer of the store had. */
    listed: [] as number[],
    evaluations: [] as { token: bigint; ids: bigint[] }[],
    warnings: [] as string[],
    failure: undefined as ConnectError | undefined,
    /** What evaluations fail with, and nothing else. */
    unwell: undefined as ConnectError | undefined,
    /** A dispatcher that cannot be reached. */
    away: "",
    /** What an evaluation waits for. */
    hold: undefined as Promise<void> | undefined,
    most: 0,
  };
  let underWay = 0;
  const log = pino(
    { level: "info" },
    { write: (line: string) => world.warnings.push(JSON.parse(line).msg) },
  );
  const watch = new AlertWatch({
    ...{ token: 7n, alertEveryMs: everyMs, log },
    store: {
      async listAlertTargets({ knownVersions = {} }) {
        if (world.failure !== undefined) throw world.failure;
        const changed = world.clusters.filter(
          ({ version, alerts }) => knownVersions[String(alerts?.clusterId)] !== version,
        );
        world.listed.push(changed.length);
        const clusterIds = world.clusters.map(({ alerts }) => alerts?.clusterId ?? 0n);
        return create(ListAlertTargetsResponseSchema, { changed, clusterIds });
      },
      async evaluateServerAlerts({ schedulerToken = 0n, definitionIds = [] }) {
        world.evaluations.push({ token: schedulerToken, ids: definitionIds });
        underWay += 1;
        world.most = Math.max(world.most, underWay);
        await world.hold;
        underWay -= 1;
        const results = definitionIds.map((definitionId) =>
          create(AlertResultSchema, { definitionId }),
        );
        if (world.failure !== undefined || world.unwell !== undefined)
          throw world.failure ?? world.unwell;
        const clusterVersions = Object.fromEntries(
          world.clusters.map(({ version, alerts }) => [String(alerts?.clusterId), version]),
        );
        return create(EvaluateServerAlertsResponseSchema, { results, clusterVersions });
      },
    },
    async send(dispatcher, definitions) {
      const parts = definitions.map(({ command, hostIds }) => {
        const clusters = command?.clusters.map(
          (one) => `${one.clusterName}/${one.definitionsDigest}`,
        );
        return `${clusters?.join(" ")}@${hostIds.join(",")}`;
      });
      world.sent.push(`${dispatcher}: ${parts.join(" ")}`);
      return dispatcher !== world.away;
    },
    // biome-ignore lint/correctness/useYield: nothing is run here
    async *execute() {
      throw new Error("nothing is run here");
    },
  });
  const stop = new AbortController();
  let over: Promise<void> | undefined;
  t.after(async () => {
    stop.abort();
    await over;
  });
  return Object.assign(world, {
    watch,
    open: (dispatcher: string, hostId: number, epoch = 1) =>
      watch.places.opened(dispatcher, session(hostId, epoch)),
    run() {
      over = watch.run(stop.signal);
    },
    stop: async () => {
      stop.abort();
      await over;
    },
    /** Waits for two rounds more. */
    async rounds() {
      const { length } = world.evaluations;
      await eventually("two rounds more", () => world.evaluations.length >= length + 3);
    },
  });
}

function session(hostId: number, epoch = 1) {
  return create(SessionSchema, { hostId: BigInt(hostId), sessionEpoch: BigInt(epoch) });
}

test("each host is told what to watch once, all of its clusters together; one in none is told so", async (t) => {
  const world = start(t);
  world.clusters = [cluster(2, [1, 2], { digest: "b" }), cluster(1, [1], { digest: "a" })];
  world.open("d1", 1);
  world.open("d2", 2);
  world.open("d2", 3);
  world.run();
  await eventually("two calls", () => world.sent.length === 2);
  assert.deepEqual(world.sent.sort(), ["d1: c1/a c2/b@1", "d2: c2/b@2 @3"]);
  await world.rounds();
  assert.equal(world.sent.length, 2);
  // Nothing is read twice.
  assert.deepEqual(world.listed, [2]);
});

test("hosts for whom something has changed are told, and no others", async (t) => {
  const world = start(t);
  world.clusters = [cluster(1, [1, 2]), cluster(2, [3])];
  for (const host of [1, 2, 3]) world.open("d1", host);
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  const next = async (clusters: AlertTargets[], expected: string) => {
    const { length } = world.sent;
    world.clusters = clusters;
    await eventually(expected, () => world.sent.length > length);
    await world.rounds();
    assert.deepEqual(world.sent.slice(length), [expected]);
  };
  const other = cluster(2, [3]);
  await next([cluster(1, [1, 2], { version: 2, digest: "e" }), other], "d1: c1/e@1,2");
  // One host leaves, another comes: the one that stays knows already.
  const moved = cluster(1, [2, 3], { version: 3, digest: "e" });
  await next([moved, other], "d1: c1/e c2/d@3 @1");
  await next([moved], "d1: c1/e@3");
  // A change that is none for alerts.
  world.clusters = [cluster(1, [2, 3], { version: 4, digest: "e" })];
  const { length } = world.sent;
  await world.rounds();
  assert.equal(world.sent.length, length);
});

test("a host whose session opens is told at once, together with others, without asking the store", async (t) => {
  const world = start(t, 3_600_000);
  world.clusters = [cluster(1, [1, 2])];
  world.run();
  await eventually("the first look", () => world.listed.length === 1);
  world.open("d1", 1);
  world.open("d1", 2);
  await eventually("a call", () => world.sent.length > 0);
  assert.deepEqual(world.sent, ["d1: c1/d@1,2"]);
  // A session that is told of twice is none that opened; a new one of the host elsewhere is.
  world.open("d1", 1);
  world.open("d2", 2, 2);
  await eventually("another", () => world.sent.length === 2);
  assert.equal(world.sent[1], "d2: c1/d@2");
  assert.equal(world.listed.length, 1);
});

test("what could not be told is told again, as it is by then; hosts without a session are not", async (t) => {
  const world = start(t);
  world.clusters = [cluster(1, [1, 2, 3])];
  world.away = "d1";
  world.open("d1", 1);
  world.open("d1", 2);
  world.open("d2", 3);
  world.run();
  await eventually("some tries", () => world.sent.filter((one) => one.startsWith("d1")).length > 2);
  assert.equal(world.sent.filter((one) => one.startsWith("d2")).length, 1);
  world.watch.places.closed(2n, 1n);
  world.clusters = [cluster(1, [1, 2, 3], { version: 2, digest: "e" })];
  await eventually("the change", () => world.sent.includes("d1: c1/e@1"));
  world.away = "";
  await world.rounds();
  const { length } = world.sent;
  await world.rounds();
  assert.equal(world.sent.length, length);
});

test("the hosts of a dispatcher that was out of reach are told again", async (t) => {
  const world = start(t);
  world.clusters = [cluster(1, [1])];
  world.open("d1", 1);
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  world.watch.places.outOfReach("d1");
  world.watch.places.sessions("d1", [session(1)]);
  await eventually("another", () => world.sent.length === 2);
});

test("the store finds out its alerts, one call at a time, under the token", async (t) => {
  const world = start(t);
  world.clusters = [cluster(1, [1])];
  let release = () => {};
  world.hold = new Promise((resolve) => {
    release = resolve;
  });
  world.run();
  await eventually("one", () => world.evaluations.length === 1);
  const asked = world.watch.evaluate([5n], new AbortController().signal);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(world.evaluations, [{ token: 7n, ids: [] }]);
  release();
  const { results } = await asked;
  assert.deepEqual(
    results.map(({ definitionId }) => definitionId),
    [5n],
  );
  await eventually("more", () => world.evaluations.length > 3);
  assert.equal(world.most, 1);
  await world.stop();
  const { length } = world.evaluations;
  await stays("nothing more is asked", 60, () => world.evaluations.length === length);
});

test("a host whose session opens is told although the store takes its time", async (t) => {
  const world = start(t);
  world.clusters = [cluster(1, [1])];
  world.run();
  await eventually("the first look", () => world.listed.length === 1);
  let release = () => {};
  world.hold = new Promise((resolve) => {
    release = resolve;
  });
  const { length } = world.evaluations;
  await eventually("a call that does not end", () => world.evaluations.length > length);
  world.open("d1", 1);
  try {
    await eventually("a call", () => world.sent.length === 1);
  } finally {
    release();
  }
});

test("agents are told although the store cannot find out its own alerts", async (t) => {
  const world = start(t);
  world.unwell = new ConnectError("one of them is broken", Code.Internal);
  world.clusters = [cluster(1, [1])];
  world.open("d1", 1);
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  world.clusters = [cluster(1, [1], { version: 2, digest: "e" })];
  await eventually("another", () => world.sent.length === 2);
  assert.deepEqual(world.sent, ["d1: c1/d@1", "d1: c1/e@1"]);
  assert.deepEqual(world.warnings, ["alerts cannot be looked after: one of them is broken"]);
});

test("a store that cannot be asked is named once; hosts that come are told what is known", async (t) => {
  const world = start(t, 20);
  world.clusters = [cluster(1, [1])];
  world.run();
  await eventually("the first look", () => world.listed.length > 0);
  world.failure = new ConnectError("the database is away", Code.Unavailable);
  await eventually("a warning", () => world.warnings.length > 0);
  world.open("d1", 1);
  await eventually("a call", () => world.sent.length === 1);
  assert.deepEqual(world.sent, ["d1: c1/d@1"]);
  world.failure = undefined;
  await eventually("its end", () => world.warnings.length > 1);
  assert.deepEqual(world.warnings, [
    "alerts cannot be looked after: the database is away",
    "alerts are looked after again",
  ]);
});

test("a scheduler that knows nothing yet tells nothing", async (t) => {
  const world = start(t, 20);
  world.failure = new ConnectError("the database is away", Code.Unavailable);
  world.open("d1", 1);
  world.run();
  await eventually("a warning", () => world.warnings.length > 0);
  world.open("d1", 2);
  await stays("nothing is sent", 700, () => world.sent.length === 0);
  world.failure = undefined;
  await eventually("a call", () => world.sent.length === 1);
  assert.deepEqual(world.sent, ["d1: @1,2"]);
});

test("calls are bounded by hosts and by bytes", () => {
  const command = (name: string, padding = 0) => {
    const clusters = [create(ClusterAlertsSchema, { clusterName: name + "x".repeat(padding) })];
    return create(AlertDefinitionCommandSchema, { clusters });
  };
  const ids = (count: number) => Array.from({ length: count }, (_, index) => BigInt(index + 1));
  const sizes = (batches: ReturnType<typeof definitionBatches>) =>
    batches.map((batch) => batch.map(({ hostIds }) => hostIds.length));
  const some = [command("a"), command("b")] as const;
  assert.deepEqual(
    sizes(
      definitionBatches([
        [some[0], ids(7_000)],
        [some[1], ids(4_000)],
      ]),
    ),
    [[5_000], [2_000, 3_000], [1_000]],
  );
  const large = Array.from({ length: 5 }, (_, at) => [command(`${at}`, 400_000), [1n]] as const);
  assert.deepEqual(sizes(definitionBatches(large)), [[1, 1], [1, 1], [1]]);
  assert.deepEqual(definitionBatches([]), []);
});
