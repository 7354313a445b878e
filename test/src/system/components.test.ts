import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { type Fleet, pushStack, startFleet } from "./fleet.js";
import { howdah } from "./howdah.js";
import { writeStack } from "./write-stack.js";

const hosts = ["host1", "host2"];

/** A daemon, its pid in a file of its host; it does not start where a file says so. */
const script = `
up="$HOWDAH_PREFIX/runner.pid"
echo "$1" >>"$HOWDAH_PREFIX/ran.log"
stop() {
  [ ! -e "$up" ] || kill "$(cat "$up")"
  rm -f "$up"
}
start() {
  [ ! -e "$HOWDAH_PREFIX/broken" ] || exit 1
  setsid sleep 1000 </dev/null >/dev/null 2>&1 &
  echo $! >"$up"
}
case $1 in
INSTALL) ;;
START) start ;;
STOP) stop ;;
RESTART) stop; start ;;
STATUS) [ -e "$up" ] && kill -0 "$(cat "$up")" ;;
*) exit 9 ;;
esac
`;

describe("components", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 2 });
    const components = [
      { name: "RUNNER", script: "runner.sh" },
      { name: "RUNNER_CLIENT", category: "CLIENT" as const, script: "client.sh" },
    ];
    const files = {
      "package/scripts/runner.sh": script,
      "package/scripts/client.sh": "exit 0\n",
      "configuration/daemon-env.xml":
        "<configuration><property><name>port</name><value>1</value></property></configuration>",
    };
    await pushStack(fleet, writeStack(fleet.dir, "DAEMON", components, files));
    await configure("1");
  });
  after(async () => {
    if (fleet === undefined) return;
    for (const host of hosts) {
      const file = join(fleet.prefix(host), "runner.pid");
      if (existsSync(file)) process.kill(Number(readFileSync(file, "utf8")), "SIGKILL");
    }
    await fleet.stop();
  });

  async function configure(port: string): Promise<void> {
    const components = [
      { name: "RUNNER", hostNames: hosts },
      { name: "RUNNER_CLIENT", hostNames: ["host1"] },
    ];
    await fleet.fleet.applyCluster({
      ...{ name: "daemon", stack: "DAEMON/1.0", services: [{ name: "DAEMON", components }] },
      configurations: { "daemon-env": { properties: { port } } },
    });
  }

  /** `COMPONENT HOST STATE`, and what wants a restart, of each component. */
  async function states(): Promise<string[]> {
    const { hostComponents } = await fleet.fleet.listHostComponents({});
    return hostComponents.map((each) => {
      const state = ComponentState[each.currentState];
      const changed = each.restartRequired ? ` (${each.changedTypes.join()})` : "";
      return `${each.componentName} ${each.hostName} ${state}${changed}`;
    });
  }

  const are = (host1: string, host2: string, client: string) => [
    `RUNNER host1 ${host1}`,
    `RUNNER host2 ${host2}`,
    `RUNNER_CLIENT host1 ${client}`,
  ];

  /** Runs a howdah command that ends well; what it printed. */
  async function run(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await howdah(fleet, ...words);
    assert.equal(code, 0, stdout + stderr);
    return stdout;
  }

  const ran = (host: string, command: string) =>
    readFileSync(join(fleet.prefix(host), "ran.log"), "utf8")
      .split("\n")
      .filter((line) => line === command).length;

  it("are refused to start before they are installed", async () => {
    assert.deepEqual(await states(), are("INIT", "INIT", "INIT"));
    const { code, stderr } = await howdah(fleet, "start");
    assert.equal(code, 4);
    assert.match(
      stderr,
      /^howdah: not installed: RUNNER on host1 \(INIT\), RUNNER on host2 \(INIT\)/,
    );
    assert.match(stderr, /`howdah install DAEMON`/);
  });

  it("are INSTALLED, STARTED, and nothing is done twice", async () => {
    await run("install");
    assert.deepEqual(await states(), are("INSTALLED", "INSTALLED", "INSTALLED"));
    assert.equal(
      await run("install"),
      "there is nothing to do: all 3 components are installed already\n",
    );
    await run("start");
    assert.deepEqual(await states(), are("STARTED", "STARTED", "INSTALLED"));
    assert.equal(
      await run("start"),
      "there is nothing to do: all 2 components are STARTED already\n",
    );
    assert.equal(ran("host1", "START"), 1);
    assert.match(await run("cluster", "show"), /RUNNER +2\/2 STARTED +host1, host2/);
  });

  it("of which one has a failed START are INSTALLED there, and a START takes in that one alone", async () => {
    await run("stop");
    assert.deepEqual(await states(), are("INSTALLED", "INSTALLED", "INSTALLED"));
    const broken = join(fleet.prefix("host2"), "broken");
    writeFileSync(broken, "");
    const { code } = await howdah(fleet, "start", "--on-failure", "continue");
    assert.equal(code, 1);
    assert.deepEqual(await states(), are("STARTED", "INSTALLED", "INSTALLED"));
    rmSync(broken);
    const before = ran("host1", "START");
    assert.match(await run("plan", "start"), /1 component is left out: as asked for already/);
    await run("start");
    assert.deepEqual(await states(), are("STARTED", "STARTED", "INSTALLED"));
    assert.equal(ran("host1", "START"), before);
  });

  it("require a restart once their configurations change, until they had one", async () => {
    assert.equal(
      await run("restart", "--restart-required"),
      "there is nothing to do: all 3 components are up to date with their configurations, or stopped\n",
    );
    await configure("2");
    const stale = " (daemon-env)";
    assert.deepEqual(
      await states(),
      are(`STARTED${stale}`, `STARTED${stale}`, `INSTALLED${stale}`),
    );
    assert.match(
      await run("components", "--restart-required", "--host", "host2"),
      /DAEMON +RUNNER +host2 +STARTED +STARTED .* restart: daemon-env changed\n1 component: 1 STARTED; 1 requires a restart\n$/,
    );
    await run("restart", "--hosts", "host1");
    assert.deepEqual(await states(), are("STARTED", `STARTED${stale}`, "INSTALLED"));
    await run("restart", "--restart-required");
    assert.deepEqual(await states(), are("STARTED", "STARTED", "INSTALLED"));
    assert.equal(ran("host1", "RESTART"), 1);
    assert.equal(ran("host2", "RESTART"), 1);
  });
});
