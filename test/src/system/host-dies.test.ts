import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findProcesses } from "@howdah/launcher/find-processes";
import type { Unit } from "@howdah/launcher/unit";
import { type Host, HostState } from "@howdah/proto/howdah/v1/fleet";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Link, openLink } from "../chaos/fleet/link.js";
import { agentsDoor, startAgent } from "./extra-agent.js";
import { type Fleet, healthyHosts, over, runLine, startFleet, tasksOf, until } from "./fleet.js";
import { reaches } from "./replicas.js";

const hosts = ["host1", "host2"];
/** What the scheduler waits for, unless it is told otherwise: HOWDAH_LOST_AFTER. */
const lostAfterMs = 30_000;

describe("a host that dies, and one that nobody can reach", () => {
  let fleet: Fleet;
  const links: Link[] = [];
  const agents: Unit[] = [];
  before(async () => {
    fleet = await startFleet({ agents: 0, env: { HOWDAH_DEADLINE_GRACE: "2s" } });
    const port = Number(agentsDoor(fleet).split(":").at(-1));
    for (const host of hosts) {
      const link = await openLink(`${host}>dispatcher-1`, () => port);
      links.push(link);
      agents.push(await startAgent(fleet, host, [link.address]));
    }
    await healthyHosts(fleet, hosts.length);
  });
  after(async () => {
    for (const agent of agents) await agent.stop();
    await fleet?.stop();
    for (const link of links) link.close();
  });

  const file = (name: string) => join(fleet.dir, name);

  async function look(): Promise<Host[]> {
    return (await fleet.fleet.listHosts({})).hosts;
  }

  async function statuses(requestId: bigint): Promise<string[]> {
    return (await tasksOf(fleet, requestId)).map(({ status }) => Status[status]);
  }

  /** As when its power goes: everything ends at once, and no connection is closed. */
  async function powerOff(host: string, agent: Unit, link: Link): Promise<void> {
    link.set("silent");
    const prefix = fleet.prefix(host);
    const all = await findProcesses((args) => args.some((arg) => arg.includes(`${prefix}/`)));
    for (const { pid } of all) process.kill(pid, "SIGKILL");
    await agent.exited;
  }

  it("are HEARTBEAT_LOST after 30 s, their tasks UNKNOWN at their deadline; back, their journals say what happened", async () => {
    const line = `echo ran >> $HOWDAH_PREFIX/ran.log; until [ -e ${file("gate")} ]; do sleep 0.1; done; touch ${file("$HOWDAH_HOSTNAME")}`;
    const requestId = await runLine(fleet, line, hosts, { timeout: { seconds: 24n } });
    await reaches(fleet, requestId, Status.IN_PROGRESS);
    const [agent, link, other] = [agents[0], links[0], links[1]];
    assert.ok(agent && link && other);

    await powerOff("host1", agent, link);
    other.set("silent");
    const from = performance.now();
    writeFileSync(file("gate"), "");
    await until("host2's command to have ended", () => existsSync(file("host2")));
    await until("the connections to be given up", async () => {
      return (await look()).every(({ connected }) => !connected);
    });
    assert.deepEqual(await statuses(requestId), ["IN_PROGRESS", "IN_PROGRESS"]);
    assert.ok((await look()).every(({ state }) => state === HostState.HEALTHY));
    const { status, endedMs } = await over(fleet, requestId).then((ended) => {
      return { status: ended.status, endedMs: performance.now() - from };
    });
    assert.equal(Status[status], "UNKNOWN");
    assert.deepEqual(await statuses(requestId), ["UNKNOWN", "UNKNOWN"]);
    assert.ok(endedMs > 20_000 && endedMs < 40_000, `at ${Math.round(endedMs)} ms`);
    await until("both hosts to be lost", async () => {
      return (await look()).every(({ state }) => state === HostState.HEARTBEAT_LOST);
    });
    const lostMs = performance.now() - from;
    assert.ok(lostMs < lostAfterMs + 5_000, `lost after ${Math.round(lostMs)} ms`);

    for (const each of links) each.set("open");
    await agent.restart();
    await healthyHosts(fleet, hosts.length);
    await until("their words", async () => !(await statuses(requestId)).includes("UNKNOWN"));
    const tasks = await tasksOf(fleet, requestId);
    assert.deepEqual(
      tasks.map((task) => [Status[task.status], task.attempt]),
      [
        ["FAILED", 1],
        ["COMPLETED", 1],
      ],
    );
    assert.match(tasks[0]?.reason ?? "", /interrupted|supervisor|started anew/i);
    assert.equal(Status[(await over(fleet, requestId)).status], "FAILED");
    for (const host of hosts) {
      const ran = readFileSync(join(fleet.prefix(host), "ran.log"), "utf8");
      assert.equal(ran, "ran\n", `${host} ran it once`);
    }
  });
});
