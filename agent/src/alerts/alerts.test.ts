import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  AlertDefinitionCommandSchema,
  AlertExecutionCommandSchema,
  type AlertReport,
} from "@howdah/proto/howdah/v1/agent_service";
import {
  type AlertDefinition,
  AlertSourceType,
  type ClusterAlerts,
} from "@howdah/proto/howdah/v1/alert";
import { pino } from "pino";
import { openPackageCache, PackageError } from "../package-cache.js";
import { temporaryFolders, textOf, until } from "../testing/test-agent.js";
import {
  clusterOf,
  definitionOf,
  portDefinition,
  putInto,
  resultText,
  type TestCluster,
} from "../testing/test-cluster.js";
import { Alerts, type AlertsOptions } from "./alerts.js";

/** Alerts of an agent without a network, whose minutes have 100 ms. */
async function place(t: TestContext) {
  const { folders, remove } = temporaryFolders();
  const packages = new Map<string, Uint8Array>();
  const put = putInto(packages);
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const open: Alerts[] = [];
  t.after(async () => {
    await Promise.all(open.map((alerts) => alerts.close()));
    remove();
  });

  async function start(more: Partial<AlertsOptions> = {}): Promise<Alerts> {
    const cache = await openPackageCache(folders, async (digest, path) => {
      const bytes = packages.get(digest);
      if (bytes === undefined) throw new PackageError(`the server cannot give ${digest}`);
      await writeFile(path, bytes);
      return digest;
    });
    const alerts = new Alerts({
      ...{ folders, log, changes: log, settings: {}, packages: cache, agentId: "a" },
      facts: { hostName: "web-1", publicHostName: "web-1", cacheDir: folders.cache },
      ...{ minuteMs: 100, gatherMs: 20 },
      ...more,
    });
    await alerts.restore();
    open.push(alerts);
    return alerts;
  }

  return {
    ...{ packages, put, lines, start, folders },
    cluster: (cluster: TestCluster) => clusterOf(put, cluster),
    warnings: () => lines.filter(({ alert }) => alert === undefined).map(({ msg }) => msg),
  };
}

function watch(alerts: Alerts, ...clusters: ClusterAlerts[]): void {
  alerts.command(create(AlertDefinitionCommandSchema, { clusters }));
}

function connect(alerts: Alerts, storeId = "s", acknowledge = true): AlertReport[] {
  const reports: AlertReport[] = [];
  alerts.connected({
    storeId,
    send(report) {
      reports.push(report);
      if (acknowledge) alerts.acknowledged(report.sequence);
    },
  });
  return reports;
}

const texts = (reports: readonly AlertReport[]) =>
  reports.flatMap(({ results }) => results.map(resultText));

function untilTold(reports: readonly AlertReport[], text: string): Promise<unknown> {
  return until(() => texts(reports).includes(text), text);
}

const closed = "CRITICAL connection refused to 127.0.0.1:1";

test("what was watched is watched after a restart, while no server is to be reached", async (t) => {
  const { start, cluster, packages } = await place(t);
  const first = await start();
  connect(first);
  watch(first, cluster({ definitions: [portDefinition("nn", 1)] }));
  await until(() => packages.size === 4, "its documents");
  await untilTold(connect(first), `1 ${closed}`);
  await first.close();
  packages.clear();
  const second = await start();
  await untilTold(connect(second), `1 ${closed}`);
});

test("another store's alerts are forgotten, on the disk too", async (t) => {
  const { start, cluster, folders } = await place(t);
  const first = await start();
  const reports = connect(first);
  watch(first, cluster({ definitions: [portDefinition("nn", 1)] }));
  await untilTold(reports, `1 ${closed}`);
  const kept = () => textOf(join(folders.clusterCache, "alert_definitions.json"));
  assert.match(kept(), /definitionsDigest/);
  first.disconnected();
  assert.deepEqual(connect(first, "another"), []);
  await until(() => first.isIdle, "nothing to be watched");
  await first.close();
  assert.match(kept(), /another/);
  assert.doesNotMatch(kept(), /definitionsDigest/);
});

test("rubbish in the place of definitions leaves the former ones, and the log says so", async (t) => {
  const { start, cluster, put, warnings, packages } = await place(t);
  const alerts = await start();
  const reports = connect(alerts);
  const good = cluster({ definitions: [portDefinition("nn", 1)] });
  watch(alerts, good);
  await untilTold(reports, `1 ${closed}`);
  const digests = [
    put(Buffer.from("[]")),
    put(Buffer.from("{")),
    put(Buffer.from('{"definitions":[{"definitionId":"x"}]}')),
    ...["none", "", "f".repeat(64)],
  ];
  for (const [index, definitionsDigest] of digests.entries()) {
    watch(alerts, { ...good, definitionsDigest });
    await until(() => warnings().length > index, "a warning");
  }
  assert.equal(warnings()[0], "a cluster's alerts cannot be taken over: the former ones stay");
  assert.equal(alerts.isIdle, false);
  // A cluster that is rubbish does not keep another from being watched.
  const other = cluster({
    definitions: [portDefinition("other", 1, { definitionId: 2n })],
    more: { clusterId: 8n, clusterName: "c2" },
  });
  watch(alerts, { ...good, definitionsDigest: "none" }, other);
  await untilTold(reports, `2 ${closed}`);
  assert.ok(packages.size > 0);
  watch(alerts);
  await until(() => alerts.isIdle, "nothing to be watched");
});

test("documents that could not be had are asked for once more, and the log says so once", async (t) => {
  const { start, cluster, packages, warnings } = await place(t);
  const alerts = await start({ retryMs: 10 });
  const reports = connect(alerts);
  const all = cluster({ definitions: [portDefinition("nn", 1)] });
  const documents = new Map(packages);
  let asked = 0;
  t.mock.method(packages, "get", (digest: string) => {
    if (digest === all.definitionsDigest) asked += 1;
    return digest !== all.definitionsDigest || asked > 5 ? documents.get(digest) : undefined;
  });
  watch(alerts, all);
  await untilTold(reports, `1 ${closed}`);
  assert.equal(asked, 6);
  assert.equal(warnings().length, 1);
});

test("with nothing to watch there is no timer", async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const { start, cluster } = await place(t);
  const before = timers();
  const alerts = await start();
  const reports = connect(alerts);
  assert.equal(timers(), before);
  const definitions = Array.from({ length: 20 }, (_, index) =>
    portDefinition(`d${index}`, 1, { definitionId: BigInt(index + 1), intervalMinutes: 500_000 }),
  );
  watch(alerts, cluster({ definitions }));
  await until(() => !alerts.isIdle, "the definitions");
  assert.equal(timers(), before + 1);
  watch(alerts);
  await until(() => alerts.isIdle, "nothing to be watched");
  assert.equal(timers(), before);
  assert.deepEqual(reports, []);
});

test("an interval of 0, and one below, is a minute", async (t) => {
  const { start, cluster } = await place(t);
  const alerts = await start({ minuteMs: 3_600_000 });
  const definitions = [0, -5].map((intervalMinutes, index) =>
    portDefinition(`d${index}`, 1, { definitionId: BigInt(index + 1), intervalMinutes }),
  );
  watch(alerts, cluster({ definitions }));
  await until(() => !alerts.isIdle, "the definitions");
  const wait = alerts.nextRunMs() ?? 0;
  assert.ok(wait > 1_000 && wait <= 600_000, String(wait));
});

/** A server that says nothing by itself. */
async function listen(
  t: TestContext,
  onConnection: (socket: Socket, count: number) => void = () => undefined,
): Promise<{ port: number; sockets: readonly Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => undefined));
    onConnection(socket, sockets.length);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { port: address.port, sockets };
}

/** Waits for an answer of the port, for so long. */
function hangingDefinition(name: string, port: number, id: number, seconds = 29): AlertDefinition {
  return definitionOf(
    name,
    AlertSourceType.PORT,
    {
      uri: `127.0.0.1:${port}`,
      parameters: [{ name: "socket.command", value: name }],
      reporting: { critical: { value: seconds, text: "hangs" } },
    },
    { definitionId: BigInt(id) },
  );
}

test("each runs once at a time, three of all; what does not get its turn is stale", async (t) => {
  const open = new Map<string, number>();
  let most = 0;
  const { port, sockets } = await listen(t, (socket) => {
    socket.once("data", (data) => {
      const name = data.toString();
      assert.equal(open.has(name), false, `${name} runs twice`);
      open.set(name, 1);
      most = Math.max(most, open.size);
      socket.on("close", () => open.delete(name));
    });
  });
  const { start, cluster } = await place(t);
  const alerts = await start();
  const reports = connect(alerts);
  const all = cluster({
    definitions: [1, 2, 3, 4, 5, 6, 7, 8].map((id) => hangingDefinition(`d${id}`, port, id, 0.4)),
  });
  watch(alerts, all);
  await until(() => most === 3, "three at once");
  await until(() => sockets.length >= 10, "every one to have its turn");
  assert.equal(most, 3);
  // A minute here has 100 ms and each takes 400: some have not been run for long, and the server is told.
  await until(
    () => reports.some(({ staleDefinitionIds }) => staleDefinitionIds.length > 0),
    "stale",
  );
});

test("what is due again while it runs is not run once more for that", async (t) => {
  const { port, sockets } = await listen(t, (socket, count) => {
    if (count > 1) socket.once("data", () => socket.end("x"));
  });
  const { start, cluster } = await place(t);
  const alerts = await start();
  const reports = connect(alerts);
  const definition = hangingDefinition("slow", port, 1);
  watch(alerts, cluster({ definitions: [definition] }));
  // Due at least twice more by then.
  await until(() => reports.some(({ staleDefinitionIds: [id] }) => id === 1n), "it to be stale");
  const rare = cluster({ definitions: [{ ...definition, intervalMinutes: 500_000 }] });
  watch(alerts, rare);
  await until(() => (alerts.nextRunMs() ?? 0) > 1_000, "the rare interval");
  alerts.execute(
    create(AlertExecutionCommandSchema, { executionId: 5n, cluster: rare, name: "slow" }),
  );
  sockets[0]?.end("x");
  await until(
    () => reports.some(({ results: [first] }) => first?.executionId === 5n),
    "the answer",
  );
  assert.equal(sockets.length, 2);
});

test("what is asked for does not wait for those that hang", async (t) => {
  const { port, sockets } = await listen(t);
  const { start, cluster } = await place(t);
  const alerts = await start();
  const reports = connect(alerts);
  const hanging = [1, 2, 3].map((id) => hangingDefinition(`hangs${id}`, port, id));
  const all = cluster({
    definitions: [...hanging, portDefinition("free", 1, { definitionId: 9n })],
  });
  watch(alerts, cluster({ definitions: hanging }));
  await until(() => sockets.length === 3, "three to hang");
  alerts.execute(
    create(AlertExecutionCommandSchema, { executionId: 5n, cluster: all, name: "free" }),
  );
  await untilTold(reports, `9 ${closed}`);
  assert.deepEqual(texts(reports), [`9 ${closed}`]);
});

test("what is asked for is answered in any case, as long as the session lives", async (t) => {
  const { start, cluster } = await place(t);
  const alerts = await start();
  const all = cluster({
    definitions: [
      portDefinition("nn", 1),
      portDefinition("rm", 1, { definitionId: 2n, componentName: "RESOURCEMANAGER" }),
    ],
  });
  const execute = (executionId: bigint, name: string, of: ClusterAlerts | undefined = all) =>
    alerts.execute(
      create(AlertExecutionCommandSchema, { executionId, name, ...(of && { cluster: of }) }),
    );
  execute(1n, "nn"); // no session, so nobody asks
  const reports = connect(alerts);
  execute(2n, "nn");
  execute(3n, "none");
  execute(4n, "rm");
  execute(5n, "nn", { ...all, definitionsDigest: "f".repeat(64) });
  alerts.execute(create(AlertExecutionCommandSchema, { executionId: 6n, name: "nn" }));
  const answers = () =>
    reports
      .flatMap(({ results }) => results)
      .filter(({ executionId }) => executionId > 0n)
      .sort((a, b) => Number(a.executionId - b.executionId));
  await until(() => answers().length === 5, "the answers");
  assert.deepEqual(answers().map(resultText), [
    `1 ${closed}`,
    '0 UNKNOWN the cluster c1 has no alert "none" that agents check',
    '0 UNKNOWN the alert "rm" watches nothing on this host',
    `0 UNKNOWN the server cannot give ${"f".repeat(64)}`,
    "0 UNKNOWN the server does not say of which cluster",
  ]);
});

test("an answer that is not acknowledged is told in the next session, as what was found", async (t) => {
  const { start, cluster } = await place(t);
  const alerts = await start({ minuteMs: 3_600_000 });
  const all = cluster({ definitions: [portDefinition("nn", 1)] });
  connect(alerts, "s", false);
  watch(alerts, all);
  await until(() => !alerts.isIdle, "the definitions");
  const reports = connect(alerts, "s", false);
  alerts.execute(
    create(AlertExecutionCommandSchema, { executionId: 5n, cluster: all, name: "nn" }),
  );
  await untilTold(reports, `1 ${closed}`);
  alerts.disconnected();
  const next = connect(alerts);
  await untilTold(next, `1 ${closed}`);
  assert.equal(next[0]?.results[0]?.executionId, 0n);
  alerts.disconnected();
  const third = connect(alerts);
  alerts.execute(create(AlertExecutionCommandSchema, { executionId: 6n, name: "nn" }));
  await until(() => third.length > 0, "the other answer");
  assert.deepEqual(texts(third), ["0 UNKNOWN the server does not say of which cluster"]);
});
