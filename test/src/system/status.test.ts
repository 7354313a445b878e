import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, pushStack, startFleet, submit, until } from "./fleet.js";
import { writeStack } from "./write-stack.js";

const hosts = ["host1", "host2"];

/** A daemon, its pid in a file of its host; STATUS passes while the process lives. */
const script = `
up="$HOWDAH_PREFIX/runner.pid"
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
STATUS) [ -e "$up" ] && kill -0 "$(cat "$up")" ;;
*) exit 9 ;;
esac
`;

describe("the status of components", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 2, env: { HOWDAH_STATUS_CHECK_EVERY: "1s" } });
    const components = [{ name: "RUNNER", script: "runner.sh" }];
    const files = { "package/scripts/runner.sh": script };
    await pushStack(fleet, writeStack(fleet.dir, "DAEMON", components, files));
    const services = [{ name: "DAEMON", components: [{ name: "RUNNER", hostNames: hosts }] }];
    await fleet.fleet.applyCluster({ name: "daemon", stack: "DAEMON/1.0", services });
  });
  after(async () => {
    if (fleet === undefined) return;
    for (const host of hosts) if (existsSync(pidFile(host))) kill(host);
    await fleet.stop();
  });

  function pidFile(host: string): string {
    return join(fleet.prefix(host), "runner.pid");
  }

  function kill(host: string): void {
    try {
      process.kill(Number(readFileSync(pidFile(host), "utf8")), "SIGKILL");
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
    }
  }

  async function states(): Promise<Record<string, string>> {
    const { hostComponents } = await fleet.fleet.listHostComponents({});
    return Object.fromEntries(
      hostComponents.map(({ hostName, currentState }) => [hostName, ComponentState[currentState]]),
    );
  }

  async function shows(host1: string, host2: string): Promise<void> {
    const expected = { host1, host2 };
    await until(`${host1} on host1 and ${host2} on host2`, async () => {
      return JSON.stringify(await states()) === JSON.stringify(expected);
    });
  }

  async function run(command: RoleCommand): Promise<void> {
    const request = await over(fleet, await submit(fleet, command));
    assert.equal(Status[request.status], "COMPLETED");
  }

  it("is what its commands made it, until the check finds it otherwise", async () => {
    await shows("INIT", "INIT");
    await run(RoleCommand.INSTALL);
    await shows("INSTALLED", "INSTALLED");
    await run(RoleCommand.START);
    await shows("STARTED", "STARTED");
    kill("host1");
    await shows("INSTALLED", "STARTED");
    await run(RoleCommand.START);
    await shows("STARTED", "STARTED");
  });

  it("is found out once an agent that was away is back", async () => {
    const [, agent] = fleet.installation.agents;
    assert.ok(agent);
    agent.kill();
    await agent.exited;
    kill("host2");
    await agent.restart();
    await shows("STARTED", "INSTALLED");
    await run(RoleCommand.START);
    await shows("STARTED", "STARTED");
  });

  it("leaves nothing behind: no request, no journal entry, no file", async () => {
    const { requests } = await fleet.store.listRequests({});
    await until("a few checks more", async () => {
      kill("host1");
      return (await states()).host1 === "INSTALLED";
    });
    assert.equal((await fleet.store.listRequests({})).requests.length, requests.length);
    const steps = readdirSync(join(fleet.prefix("host1"), "data", "steps"));
    assert.equal(steps.filter((name) => name.includes("status")).length, 0);
    await until("no file of a check", () => {
      const names = readdirSync(join(fleet.prefix("host1"), "data"));
      return !names.some((name) => name.startsWith("status_"));
    });
  });
});
