import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { type Alert, AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { type Fleet, pushStack, startFleet, until } from "./fleet.js";
import { howdah } from "./howdah.js";
import { Listener } from "./listener.js";
import { writeStack } from "./write-stack.js";

const hosts = ["host1", "host2"];
/** So many alerts of a minute that some host checks one of them every few seconds. */
const spreads = Array.from({ length: 24 }, (_, index) => `spread_${index + 1}`);

const port = (name: string) => ({
  ...{ name, label: name, interval: 1, scope: "HOST", enabled: true },
  source: { type: "PORT", uri: "{{daemon-env/address}}", default_port: 1 },
});
const share = { text: "affected: [{1}], total: [{0}]" };
const reporting = {
  ok: share,
  warning: { ...share, value: 0.1 },
  critical: { ...share, value: 0.5 },
};
const alertsJson = {
  DAEMON: {
    service: [
      {
        ...{ name: "runners", label: "Runners", interval: 1, scope: "SERVICE", enabled: true },
        source: { type: "AGGREGATE", alert_name: "runner_port", reporting },
      },
    ],
    RUNNER: [port("runner_port"), ...spreads.map(port)],
  },
};

describe("alerts", () => {
  const listener = new Listener();
  let fleet: Fleet;

  before(async () => {
    await listener.open();
    fleet = await startFleet({ agents: 2 });
    await pushStack(
      fleet,
      writeStack(fleet.dir, "DAEMON", [{ name: "RUNNER", script: "runner.sh" }], {
        "package/scripts/runner.sh": "exit 0\n",
        "alerts.json": JSON.stringify(alertsJson),
        "configuration/daemon-env.xml":
          "<configuration><property><name>address</name><value>none</value></property></configuration>",
      }),
    );
    await configure(listener.address);
  });
  after(async () => {
    await listener.close();
    await fleet?.stop();
  });

  async function configure(address: string): Promise<void> {
    const components = [{ name: "RUNNER", hostNames: hosts }];
    await fleet.fleet.applyCluster({
      ...{ name: "daemon", stack: "DAEMON/1.0", services: [{ name: "DAEMON", components }] },
      configurations: { "daemon-env": { properties: { address } } },
    });
  }

  /** The cluster's alerts in a state. */
  async function alertsIn(...states: AlertState[]): Promise<Alert[]> {
    const transport = createConnectTransport({ baseUrl: fleet.url, httpVersion: "1.1" });
    const { alerts } = await createClient(AlertService, transport).listAlerts({
      ...{ states, pageSize: 1_000 },
    });
    return alerts;
  }

  const isSpread = ({ name }: Alert) => name.startsWith("spread_");

  /** What an agent says that it was told to watch. */
  function told(host: string): string {
    const folder = join(fleet.prefix(host), "cache", "cluster_cache");
    const file = readdirSync(folder).find((name) => name.startsWith("alert_definitions"));
    return file === undefined ? "" : readFileSync(join(folder, file), "utf8");
  }

  it("are run at once, and what they find is stored before it is told", async () => {
    const { code, stdout, stderr } = await howdah(fleet, "alert", "run", "runner_port");
    assert.equal(code, 0, stdout + stderr);
    const lines = stdout.trim().split("\n").sort();
    assert.equal(lines[0], "2 OK");
    assert.match(lines[1] ?? "", /^host1 {2}OK {2}TCP OK - \d\.\d+ response on port \d+$/);
    assert.match(lines[2] ?? "", /^host2 {2}OK {2}TCP OK/);
    const found = (await alertsIn(AlertState.OK)).filter(({ name }) => name === "runner_port");
    assert.deepEqual(found.map(({ hostName }) => hostName).sort(), hosts);
  });

  it("are CRITICAL while nobody listens, the aggregate with them, and OK again", async () => {
    await listener.close();
    const down = await howdah(fleet, "alert", "run", "runner_port");
    assert.equal(down.code, 1, down.stdout + down.stderr);
    assert.match(down.stdout, /^2 CRITICAL$/m);
    const one = await howdah(fleet, "alert", "run", "runner_port", "--hosts", "host2");
    assert.match(one.stdout, /^host2 {2}CRITICAL {2}Connection failed: .*\n1 CRITICAL\n$/);
    const aggregate = async (state: AlertState) =>
      (await alertsIn(state)).find(({ name }) => name === "runners");
    // It may have been counted between the two.
    const critical = await until("the aggregate to follow", async () => {
      const found = await aggregate(AlertState.CRITICAL);
      return found?.text === "affected: [2], total: [2]" && found;
    });
    assert.equal(critical.hostName, "");
    const listed = await howdah(fleet, "alerts", "--state", "critical", "--name", "runner_port");
    assert.match(listed.stdout, /^2 CRITICAL/);
    await listener.open();
    assert.equal((await howdah(fleet, "alert", "run", "runner_port")).code, 0);
    await until("the aggregate to follow", () => aggregate(AlertState.OK));
    const shares = await howdah(fleet, "alert", "run", "runners");
    assert.match(shares.stdout, /^OK {2}affected: \[0\], total: \[2\]\n1 OK\n$/);
    const history = await howdah(fleet, "alerts", "--history", "--name", "runners");
    const states = history.stdout.split("\n").flatMap((line) => line.match(/OK|CRITICAL/) ?? []);
    assert.deepEqual(states.slice(0, 2), ["OK", "CRITICAL"]);
  });

  it("are checked by themselves, by configurations as they are now", async () => {
    await until("a check that nobody asked for", async () =>
      (await alertsIn(AlertState.OK)).some(isSpread),
    );
    await configure("127.0.0.1:1");
    const alert = await until("a check by the new configurations", async () =>
      (await alertsIn(AlertState.CRITICAL)).find(
        (one) => isSpread(one) && one.text.endsWith("127.0.0.1:1"),
      ),
    );
    await configure(listener.address);
    await until("the old ones to count again", async () => {
      const { code } = await howdah(fleet, "alert", "run", alert.name);
      return code === 0;
    });
  });

  it("are told to agents within seconds of a change, and are gone when they are switched off", async () => {
    const before = hosts.map(told);
    const set = await howdah(fleet, "alert", "set", "runner_port", "--interval", "7m");
    assert.match(set.stdout, /^alert runner_port is on, checked every 7 min/);
    await until("both agents to be told", () =>
      hosts.every((host, index) => told(host) !== "" && told(host) !== before[index]),
    );
    const off = await howdah(fleet, "alert", "set", "runner_port", "--off");
    assert.equal(off.stdout, "alert runner_port is off\n");
    const left = await alertsIn();
    assert.deepEqual(
      left.filter(({ name }) => name === "runner_port"),
      [],
    );
    const refused = await howdah(fleet, "alert", "run", "runner_port");
    assert.equal(refused.code, 4);
    assert.match(refused.stderr, /^howdah: alert runner_port is switched off/);
    await howdah(fleet, "alert", "set", "runner_port", "--on");
    assert.equal((await howdah(fleet, "alert", "run", "runner_port")).code, 0);
    const unknown = await howdah(fleet, "alert", "run", "typo");
    assert.equal(unknown.code, 4);
    assert.match(unknown.stderr, /has no alert typo/);
  });

  it("that change while the dispatcher is away are told when it is back", async () => {
    const log = join(fleet.dir, "log", "agent-host1.log");
    const from = readFileSync(log, "utf8").length;
    const { dispatcher } = fleet.installation;
    const killedMs = Date.now();
    dispatcher.kill();
    await dispatcher.exited;
    await listener.close();
    const name = await until(
      "an alert to change meanwhile",
      () => /(spread_\d+)\b.*CRITICAL/.exec(readFileSync(log, "utf8").slice(from))?.[1],
      60_000,
    );
    await dispatcher.restart();
    const alert = await until("it to be told", async () =>
      (await alertsIn(AlertState.CRITICAL)).find(
        (one) =>
          one.name === name &&
          one.hostName === "host1" &&
          one.toldAt !== undefined &&
          timestampMs(one.toldAt) >= killedMs,
      ),
    );
    assert.match(alert.text, /^Connection failed/);
    await listener.open();
    // The agents were told anew what to watch, and are there to be asked.
    await until("both to answer", async () => {
      const { code } = await howdah(fleet, "alert", "run", "runner_port");
      return code === 0;
    });
  });

  it("are run on all hosts by a scheduler that has just begun", async () => {
    const { scheduler } = fleet.installation;
    scheduler.kill();
    await scheduler.exited;
    const asked = howdah(fleet, "alert", "run", "runner_port");
    await scheduler.restart();
    const { code, stdout, stderr } = await howdah(fleet, "alert", "run", "runner_port");
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^2 OK$/m);
    // Asked of nobody: it says so, and why.
    assert.ok([0, 3].includes((await asked).code));
  });
});
