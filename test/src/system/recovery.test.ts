import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, pushStack, startFleet, submit, until } from "./fleet.js";
import { howdah } from "./howdah.js";
import { writeStack } from "./write-stack.js";

/** One for each scenario: a component is recovered once a minute at most. */
const components = ["KILLED", "STOPPED", "MAINTAINED", "ALONE"] as const;
type Component = (typeof components)[number];

/** A daemon with a pid file, as the components of Ambari's stacks have. */
const script = (component: string) => `
up="$HOWDAH_PREFIX/${component}.pid"
case $1 in
INSTALL) ;;
START)
  setsid sleep 1000 </dev/null >/dev/null 2>&1 &
  echo $! >"$up"
  ;;
STOP)
  kill "$(cat "$up")"
  rm "$up"
  ;;
STATUS)
  echo . >>"$HOWDAH_PREFIX/${component}.checks"
  [ -e "$up" ] && kill -0 "$(cat "$up")"
  ;;
*) exit 9 ;;
esac
`;

describe("auto start", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1, env: { HOWDAH_STATUS_CHECK_EVERY: "1s" } });
    const [agent] = fleet.installation.agents;
    assert.ok(agent);
    appendFileSync(path("conf", "howdah-agent.ini"), "\n[agent]\ncomponent_status_interval = 1s\n");
    agent.kill();
    await agent.exited;
    await agent.restart();
    const files = components.map((name) => [`package/scripts/${name}.sh`, script(name)]);
    const written = components.map((name) => ({ name, script: `${name}.sh` }));
    const stack = writeStack(fleet.dir, "DAEMON", written, Object.fromEntries(files));
    await pushStack(fleet, stack);
    const placed = components.map((name) => ({ name, hostNames: ["host1"], autoStart: true }));
    const properties = { recovery_enabled: "true", recovery_type: "AUTO_START" };
    await fleet.fleet.applyCluster({
      ...{ name: "daemon", stack: "DAEMON/1.0" },
      services: [{ name: "DAEMON", components: placed }],
      configurations: { "cluster-env": { properties } },
    });
    for (const command of [RoleCommand.INSTALL, RoleCommand.START]) {
      const request = await over(fleet, await submit(fleet, command));
      assert.equal(Status[request.status], "COMPLETED");
    }
    await until("the agent to know what is wanted", () =>
      components.every((name) => wanted(name) === "COMPONENT_STATE_STARTED"),
    );
  });
  after(async () => {
    if (fleet === undefined) return;
    for (const name of components) kill(name);
    await fleet.stop();
  });

  function path(...names: string[]): string {
    return join(fleet.prefix("host1"), ...names);
  }

  function pid(name: Component): number {
    const file = path(`${name}.pid`);
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  }

  function lives(name: Component): boolean {
    if (pid(name) === 0) return false;
    try {
      return process.kill(pid(name), 0);
    } catch {
      return false;
    }
  }

  function kill(name: Component): void {
    if (lives(name)) process.kill(pid(name), "SIGKILL");
  }

  /** What the agent keeps of what is wanted; undefined when nothing is stated. */
  function wanted(name: Component): string | undefined {
    const { message } = JSON.parse(
      readFileSync(path("cache", "cluster_cache", "status_command.json"), "utf8"),
    ) as { message: { checks?: { componentName: string; desiredState?: string }[] } };
    return message.checks?.find(({ componentName }) => componentName === name)?.desiredState;
  }

  async function shows(name: Component, state: ComponentState): Promise<void> {
    await until(`${name} to be ${ComponentState[state]}`, async () => {
      const { hostComponents } = await fleet.fleet.listHostComponents({});
      return hostComponents.some(
        ({ componentName, currentState }) => componentName === name && currentState === state,
      );
    });
  }

  /** Waits until a component was checked so often more. */
  async function checked(name: Component, times: number): Promise<void> {
    const count = () => readFileSync(path(`${name}.checks`), "utf8").length / 2;
    const before = count();
    await until(`${times} checks of ${name}`, () => count() >= before + times);
  }

  const requestCount = async () => (await fleet.store.listRequests({})).requests.length;

  it("is shown by howdah cluster show", async () => {
    const { stdout } = await howdah(fleet, "cluster", "show");
    assert.match(stdout, /\nauto start: ALONE on, .*; else as the stack says\n/);
  });

  it("starts what was killed, without anybody's order", async () => {
    const before = pid("KILLED");
    const requests = await requestCount();
    kill("KILLED");
    await until("another process", () => pid("KILLED") !== before && lives("KILLED"));
    await shows("KILLED", ComponentState.STARTED);
    assert.equal(await requestCount(), requests);
  });

  it("leaves alone what an operator stopped", async () => {
    const id = await submit(fleet, RoleCommand.STOP, { components: ["STOPPED"] });
    assert.equal(Status[(await over(fleet, id)).status], "COMPLETED");
    await checked("STOPPED", 4);
    assert.ok(!lives("STOPPED"));
    await shows("STOPPED", ComponentState.INSTALLED);
  });

  it("leaves alone what is in maintenance", async () => {
    const on = await howdah(fleet, "maintenance", "on", "--component", "MAINTAINED");
    assert.equal(on.code, 0, on.stderr);
    await until("the agent to know", () => wanted("MAINTAINED") === undefined);
    kill("MAINTAINED");
    await shows("MAINTAINED", ComponentState.INSTALLED);
    await checked("MAINTAINED", 2);
    assert.ok(!lives("MAINTAINED"));
  });

  it("goes on while no server is to be reached, also by an agent that starts then", async () => {
    const { dispatcher, agents } = fleet.installation;
    const [agent] = agents;
    assert.ok(agent);
    dispatcher.kill();
    await dispatcher.exited;
    agent.kill();
    await agent.exited;
    kill("ALONE");
    await agent.restart();
    await until("another process", () => lives("ALONE"));
    await checked("STOPPED", 1);
    await dispatcher.restart();
    await shows("ALONE", ComponentState.STARTED);
    assert.ok(!lives("STOPPED"));
    assert.ok(!lives("MAINTAINED"));
  });
});
