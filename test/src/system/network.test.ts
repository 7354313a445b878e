import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { findProcesses } from "@howdah/launcher/find-processes";
import type { Unit } from "@howdah/launcher/unit";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Link, openLink } from "../chaos/fleet/link.js";
import { agentsDoor, startAgent } from "./extra-agent.js";
import {
  type Fleet,
  healthyHosts,
  outputOf,
  over,
  runLine,
  startFleet,
  tasksOf,
  until,
} from "./fleet.js";
import { type Held, startHeld } from "./replicas.js";

describe("the network between an agent and its dispatcher", () => {
  let fleet: Fleet;
  let link: Link;
  let agent: Unit;
  before(async () => {
    fleet = await startFleet({ agents: 0 });
    const port = Number(agentsDoor(fleet).split(":").at(-1));
    link = await openLink("host1>dispatcher-1", () => port);
    agent = await startAgent(fleet, "host1", [link.address]);
    await healthyHosts(fleet, 1);
  });
  after(async () => {
    await agent?.stop();
    await fleet?.stop();
    link?.close();
  });

  /** Waits until nothing runs on the host any more. */
  async function scriptsEnded(): Promise<void> {
    const supervised = `${fleet.prefix("host1")}/data/`;
    await until("the command to have ended", async () => {
      const running = await findProcesses((args) => args.some((arg) => arg.includes(supervised)));
      return running.length === 0;
    });
  }

  /** It completed at its first attempt, ran once, and all of its output is there. */
  async function completed(held: Held, name: string): Promise<void> {
    const { status, counts } = await over(fleet, held.requestId);
    assert.equal(Status[status], "COMPLETED");
    assert.deepEqual([counts?.completed, counts?.total], [1, 1]);
    const [task] = await tasksOf(fleet, held.requestId);
    assert.equal(task?.attempt, 1);
    assert.equal(held.runs("host1"), 1);
    assert.equal(await outputOf(fleet, task?.taskId ?? 0n), `${name} done\n`);
  }

  async function epoch(): Promise<bigint> {
    const { hosts } = await fleet.fleet.listHosts({});
    return hosts[0]?.sessionEpoch ?? 0n;
  }

  it("cut while a command ends: its result is kept on the host, and told when the agent is back", async () => {
    const held = await startHeld(fleet, "cut", ["host1"]);
    const before = await epoch();
    link.set("cut");
    held.release();
    await scriptsEnded();
    const [task] = await tasksOf(fleet, held.requestId);
    assert.equal(Status[task?.status ?? 0], "IN_PROGRESS");
    link.set("open");
    await completed(held, "cut");
    assert.ok((await epoch()) > before, "on a new session");
  });

  it("acknowledgements lost: the result is told again, and counts once", async () => {
    const held = await startHeld(fleet, "deaf", ["host1"]);
    const before = await epoch();
    link.set("deaf");
    held.release();
    await completed(held, "deaf");
    const tasks = await tasksOf(fleet, held.requestId);
    link.set("open");
    await until("a new session", async () => (await epoch()) > before);
    // What comes after it in the same stream is answered: by then the repeat has been.
    const next = await startHeld(fleet, "next", ["host1"]);
    next.release();
    await completed(next, "next");
    assert.deepEqual(await tasksOf(fleet, held.requestId), tasks);
  });

  it("cut before a command is sent: the host has it once it is back", async () => {
    link.set("cut");
    await until("the session to have ended", async () => {
      const { hosts } = await fleet.fleet.listHosts({});
      return hosts[0]?.disconnectedAt !== undefined;
    });
    const requestId = await runLine(fleet, "echo late", ["host1"]);
    link.set("open");
    assert.equal(Status[(await over(fleet, requestId)).status], "COMPLETED");
  });
});
