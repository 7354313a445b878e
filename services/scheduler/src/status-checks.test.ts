import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ScriptType, StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import { type HostStatusCheck, SessionSchema } from "@howdah/proto/howdah/v1/dispatcher_service";
import { ClusterSchema, ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { StackDefinitionSchema } from "@howdah/proto/howdah/v1/stack";
import {
  type CheckedComponent,
  CheckedComponentSchema,
} from "@howdah/proto/howdah/v1/store_components";
import { pino } from "pino";
import { checkBatches } from "./check-batches.js";
import { StatusChecks } from "./status-checks.js";
import { eventually } from "./testing/eventually.js";

function component(name: string, hostIds: number[], more = {}): CheckedComponent {
  return create(CheckedComponentSchema, {
    ...{ clusterId: 1n, cluster: "c1", clusterVersion: 4n, serviceName: "HDFS" },
    ...{ componentName: name, hostIds: hostIds.map(BigInt) },
    ...{ configurationsDigest: "conf", topologyDigest: "topo", metadataDigest: "meta" },
    ...more,
  });
}

const script = (name: string, timeoutSeconds: number) => ({
  name,
  commandScript: { script: `scripts/${name}.py`, scriptType: ScriptType.PYTHON, timeoutSeconds },
});

/** Checks against sources in this process; they end with the test. */
function start(t: TestContext, everyMs = 3_600_000, changesEveryMs = 50) {
  const calls = { listStatusChecks: 0, getCluster: 0, digests: 0 };
  const warnings: string[] = [];
  /** What was sent, call by call: `DISPATCHER: COMPONENT@HOST,HOST …`; a host without a check stands alone. */
  const sent: string[] = [];
  const raw: HostStatusCheck[][] = [];
  const world = {
    ...{ calls, warnings, sent, raw },
    components: [component("NN", [1]), component("DN", [1, 2])],
    failure: undefined as ConnectError | undefined,
    stackGone: false,
    refuses: "",
  };
  const stack = create(StackDefinitionSchema, {
    ...{ name: "S", version: "1", hooksDigest: "hooks" },
    services: [
      {
        ...{ name: "HDFS", packageDigest: "package" },
        components: [script("NN", 7), script("DN", 0), { name: "BARE" }],
      },
    ],
  });
  const cluster = create(ClusterSchema, { clusterId: 1n, name: "c1", stack: "S/1" });
  const checks = new StatusChecks({
    statusCheckEveryMs: everyMs,
    statusChangesEveryMs: changesEveryMs,
    log: pino({ level: "warn" }, { write: (line: string) => warnings.push(JSON.parse(line).msg) }),
    store: {
      async listStatusChecks() {
        calls.listStatusChecks += 1;
        if (world.failure !== undefined) throw world.failure;
        return { $typeName: "howdah.v1.ListStatusChecksResponse", components: world.components };
      },
    },
    fleet: {
      async getCluster({ name }) {
        calls.getCluster += 1;
        if (name !== "c1") throw new ConnectError(`no cluster ${name}`, Code.NotFound);
        return { $typeName: "howdah.v1.GetClusterResponse", cluster };
      },
    } as Pick<Client<typeof FleetService>, "getCluster">,
    stacks: {
      async digests() {
        calls.digests += 1;
        return new Map();
      },
      async get(name) {
        if (world.stackGone) throw new ConnectError("the stack is gone", Code.FailedPrecondition);
        assert.equal(name, "S/1");
        return stack;
      },
    },
    async send(dispatcher, batch) {
      raw.push(batch);
      const parts = batch.map(({ check, hostIds }) => `${check?.componentName ?? ""}@${hostIds}`);
      sent.push(`${dispatcher}: ${parts.join(" ")}`);
      return dispatcher !== world.refuses;
    },
  });
  const stop = new AbortController();
  let over: Promise<void> | undefined;
  t.after(async () => {
    stop.abort();
    await over;
  });
  const open = (dispatcher: string, hostId: number, epoch = 1) =>
    checks.places.opened(dispatcher, session(hostId, epoch));
  return Object.assign(world, {
    checks,
    open,
    run() {
      over = checks.run(stop.signal);
    },
  });
}

function session(hostId: number, epoch = 1) {
  return create(SessionSchema, { hostId: BigInt(hostId), sessionEpoch: BigInt(epoch) });
}

test("when something may have changed, the hosts of which it has are told soon, and only they", async (t) => {
  const world = start(t);
  for (const host of [1, 2, 3]) world.open("d1", host);
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  assert.deepEqual(world.sent.splice(0), ["d1: NN@1 DN@1,2 @3"]);
  world.checks.changed();
  await eventually("the store to be asked", () => world.calls.listStatusChecks === 2);
  const wanted = { recoveryEnabled: true, desiredState: ComponentState.STARTED };
  world.components = [
    component("NN", [1]),
    component("DN", [1]),
    component("DN", [2], { ...wanted, desiredRequestId: 9n }),
  ];
  world.checks.changed();
  await eventually("another call", () => world.sent.length === 1);
  world.components = [component("NN", [1])];
  world.checks.changed();
  await eventually("the third call", () => world.sent.length === 2);
  assert.deepEqual(world.sent, ["d1: DN@2", "d1: NN@1 @2"]);
});

test("with auto start, changes are looked for although nobody tells of them", async (t) => {
  const world = start(t);
  const recovered = { recoveryEnabled: true, desiredRequestId: 9n };
  world.components = [component("DN", [1], { ...recovered, desiredState: ComponentState.STARTED })];
  world.open("d1", 1);
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  await eventually("some looks", () => world.calls.listStatusChecks > 3);
  assert.equal(world.sent.length, 1);
  world.components = [component("DN", [1], { recoveryEnabled: true })];
  await eventually("another call", () => world.sent.length === 2);
  assert.equal(world.raw[1]?.[0]?.check?.desiredState, ComponentState.UNSPECIFIED);
});

test("a host that was told nothing for want of its dispatcher is told with the next look for changes", async (t) => {
  const world = start(t);
  world.open("d1", 1);
  world.refuses = "d1";
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  world.refuses = "";
  world.checks.changed();
  await eventually("another call", () => world.sent.length === 2);
  assert.deepEqual(world.sent, ["d1: NN@1 DN@1", "d1: NN@1 DN@1"]);
});

test("what agents start by themselves comes with what it is wanted to be, its hooks and its time", async (t) => {
  const world = start(t);
  const wanted = { desiredState: ComponentState.STARTED, desiredRequestId: 9n };
  world.components = [
    component("NN", [1], { recoveryEnabled: true, ...wanted }),
    component("DN", [1], { recoveryEnabled: true }),
    component("DN", [2], { recoveryEnabled: true, ...wanted }),
  ];
  world.open("d1", 1);
  world.open("d1", 2);
  world.run();
  await eventually("a call", () => world.sent.length === 1);
  assert.deepEqual(world.sent, ["d1: NN@1 DN@1 DN@2"]);
  assert.deepEqual(
    world.raw[0]?.map(({ check }) => [
      ...[check?.recoveryEnabled, check?.desiredState, check?.desiredRequestId],
      ...[check?.recoveryTimeoutMs, check?.spec?.timeoutMs, check?.spec?.hooksDigest],
    ]),
    [
      [true, ComponentState.STARTED, 9n, 7_000n, 7_000n, "hooks"],
      [true, ComponentState.UNSPECIFIED, 0n, 900_000n, 60_000n, "hooks"],
      [true, ComponentState.STARTED, 9n, 900_000n, 60_000n, "hooks"],
    ],
  );
});

test("each dispatcher is asked for its own hosts, each host for all of its components", async (t) => {
  const world = start(t);
  world.open("d1", 1);
  world.open("d2", 2);
  world.run();
  await eventually("two calls", () => world.sent.length === 2);
  assert.deepEqual(world.sent.sort(), ["d1: NN@1 DN@1", "d2: DN@2"]);
  assert.deepEqual(world.calls, { listStatusChecks: 1, getCluster: 1, digests: 1 });
  const checks = world.raw.flat().map(({ check }) => check);
  const nn = checks.find((check) => check?.componentName === "NN");
  assert.deepEqual(
    [nn?.configurationsDigest, nn?.topologyDigest, nn?.metadataDigest],
    ["conf", "topo", "meta"],
  );
  const { $typeName: _, ...spec } = nn?.spec ?? { $typeName: undefined };
  assert.deepEqual(spec, {
    ...{ serviceName: "HDFS", componentName: "NN", customCommand: "" },
    ...{ script: "scripts/NN.py", scriptType: ScriptType.PYTHON, argv: [], background: false },
    ...{ packageDigest: "package", hooksDigest: "", timeoutMs: 7_000n },
    ...{ commandParams: {}, roleParams: {}, clusterName: "c1", clusterId: 1n },
  });
  // No check may take longer than it is until the next one.
  const dn = checks.find((check) => check?.componentName === "DN");
  assert.equal(dn?.spec?.timeoutMs, 60_000n);
});

test("they are asked again and again; the store twice each time, however many hosts there are", async (t) => {
  const world = start(t, 50);
  world.components = [
    component(
      "DN",
      Array.from({ length: 300 }, (_, index) => index + 1),
    ),
  ];
  for (let host = 1; host <= 300; host += 1) world.open(`d${host % 3}`, host);
  world.run();
  await eventually("five rounds", () => world.sent.length >= 15);
  const { listStatusChecks, digests, getCluster } = world.calls;
  assert.ok(listStatusChecks <= Math.ceil(world.sent.length / 3) + 1);
  assert.ok(digests <= listStatusChecks);
  assert.equal(getCluster, 1);
});

test("a changed cluster is read again", async (t) => {
  const world = start(t, 30);
  world.open("d1", 1);
  world.run();
  await eventually("two rounds", () => world.sent.length >= 2);
  world.components = [component("NN", [1], { clusterVersion: 5n })];
  await eventually("the change", () => world.sent.includes("d1: NN@1"));
  assert.equal(world.calls.getCluster, 2);
});

test("a host whose session opens is asked at once, together with others, without asking the store", async (t) => {
  const world = start(t);
  world.run();
  await eventually("the first look", () => world.calls.digests === 1);
  world.open("d1", 1);
  world.open("d1", 2);
  await eventually("a call", () => world.sent.length > 0);
  assert.deepEqual(world.sent, ["d1: NN@1 DN@1,2"]);
  // A session that is told of twice is none that opened; a new one of the host elsewhere is.
  world.open("d1", 1);
  world.open("d2", 2, 2);
  await eventually("another", () => world.sent.length === 2);
  assert.equal(world.sent[1], "d2: DN@2");
  assert.deepEqual(world.calls, { listStatusChecks: 1, getCluster: 1, digests: 1 });
});

test("hosts without a session are not asked, and those of a lost dispatcher when it is back", async (t) => {
  const world = start(t, 100);
  world.open("d1", 1);
  world.open("d2", 2, 5);
  world.checks.places.closed(1n, 1n);
  world.checks.places.closed(2n, 4n);
  world.run();
  await eventually("a call", () => world.sent.length > 0);
  assert.deepEqual(world.sent, ["d2: DN@2"]);
  world.checks.places.outOfReach("d2");
  const { length } = world.sent;
  const rounds = world.calls.listStatusChecks;
  await eventually("two more rounds", () => world.calls.listStatusChecks >= rounds + 2);
  assert.equal(world.sent.length, length);
  world.checks.places.sessions("d2", [session(2, 5)]);
  await eventually("it is back", () => world.sent.length > length);
});

test("a host with nothing to check any more is told so once", async (t) => {
  const world = start(t, 50);
  world.open("d1", 1);
  world.open("d1", 2);
  world.open("d1", 3);
  world.run();
  await eventually("two rounds", () => world.sent.length >= 2);
  assert.deepEqual(world.sent.slice(0, 2), ["d1: NN@1 DN@1,2 @3", "d1: NN@1 DN@1,2"]);
  world.components = [component("NN", [1])];
  await eventually("the change", () => world.sent.includes("d1: NN@1"));
  assert.deepEqual([...new Set(world.sent.slice(2))].slice(-2), ["d1: NN@1 @2", "d1: NN@1"]);
});

test("what the stack does not know is left out and named once", async (t) => {
  const world = start(t, 30);
  world.components = [
    component("NN", [1]),
    component("GONE", [1]),
    component("BARE", [1]),
    component("NN", [1], { clusterId: 2n, cluster: "c2" }),
  ];
  world.open("d1", 1);
  world.run();
  await eventually("some rounds", () => world.sent.length >= 3);
  assert.deepEqual([...new Set(world.sent)], ["d1: NN@1"]);
  assert.deepEqual(world.warnings, [
    "the status of c1/GONE is not checked: S/1 has no script for HDFS/GONE",
    "the status of c1/BARE is not checked: S/1 has no script for HDFS/BARE",
    "the status of c2/NN is not checked: no cluster c2",
  ]);
  world.stackGone = true;
  await eventually("the stack's going", () => world.warnings.length > 3);
  assert.equal(world.warnings[3], "the status of c1/NN is not checked: the stack is gone");
});

test("a store that cannot be asked is named once and asked again", async (t) => {
  const world = start(t, 20);
  world.failure = new ConnectError("the database is away", Code.Unavailable);
  world.open("d1", 1);
  world.run();
  await eventually("some tries", () => world.calls.listStatusChecks >= 4);
  assert.deepEqual(world.warnings, [
    "which components are to be checked cannot be read: the database is away",
  ]);
  world.failure = undefined;
  await eventually("a call", () => world.sent.length > 0);
});

test("a dispatcher that does not answer holds up no other", async (t) => {
  const world = start(t);
  world.components = [
    component(
      "DN",
      Array.from({ length: 2_000 }, (_, index) => index + 1),
    ),
  ];
  for (let host = 1; host <= 2_000; host += 1) world.open(`d${host % 2}`, host);
  world.refuses = "d0";
  world.run();
  await eventually("the calls", () => world.sent.length >= 3);
  assert.deepEqual(world.sent.map((text) => text.slice(0, 2)).sort(), ["d0", "d1", "d1"]);
});

test("calls are bounded by hosts and by bytes, each host whole in one of them", () => {
  const check = (name: string) =>
    create(StatusCheckSchema, { componentName: name, spec: { script: "x".repeat(10_000) } });
  const checks = Array.from({ length: 300 }, (_, index) => check(`C${index}`));
  const hosts = Array.from({ length: 1_200 }, (_, index) => BigInt(index + 1));
  const same = new Map(hosts.map((host) => [host, [0, 1]]));
  const byHosts = checkBatches({ checks, byHost: same }, hosts);
  assert.deepEqual(
    byHosts.map((batch) => batch.map(({ hostIds }) => hostIds.length)),
    [
      [500, 500],
      [500, 500],
      [200, 200],
    ],
  );
  const own = new Map(hosts.slice(0, 300).map((host, index) => [host, [index]]));
  const byBytes = checkBatches({ checks, byHost: own }, [...own.keys()]);
  assert.deepEqual(
    byBytes.map((batch) => batch.length),
    [104, 104, 92],
  );
  const all = new Map([[1n, checks.map((_, index) => index)]]);
  const large = checkBatches({ checks, byHost: all }, [1n, 2n]);
  assert.deepEqual(
    large.map((batch) => batch.length),
    [300, 1],
  );
  assert.deepEqual(large[1]?.[0]?.check, undefined);
});
