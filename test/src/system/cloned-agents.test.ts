import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Unit } from "@howdah/launcher/unit";
import { Status } from "@howdah/proto/howdah/v1/status";
import { agentsDoor, startAgent } from "./extra-agent.js";
import { type Fleet, healthyHosts, over, startFleet, tasksOf, until } from "./fleet.js";
import { startHeld } from "./replicas.js";

describe("an agent whose folder was copied to another machine", () => {
  let fleet: Fleet;
  const clones: Unit[] = [];
  before(async () => {
    fleet = await startFleet({ agents: 1 });
  });
  after(async () => {
    for (const clone of clones) await clone.stop();
    await fleet?.stop();
  });

  /** Copies the agent's folder, journal and all, as it is now. */
  function copy(folder: string): string {
    const prefix = join(fleet.dir, folder);
    cpSync(fleet.prefix("host1"), prefix, { recursive: true });
    // Another machine has other processes, and has run nothing yet.
    for (const name of ["run", "data/lock", "ran.log"]) {
      rmSync(join(prefix, name), { recursive: true, force: true });
    }
    return prefix;
  }

  async function start(hostName: string, prefix: string): Promise<Unit> {
    const unit = await startAgent(fleet, hostName, [agentsDoor(fleet)], prefix);
    clones.push(unit);
    return unit;
  }

  it("under the same name: is sent away while the first one is there, and runs nothing", async () => {
    const held = await startHeld(fleet, "held", ["host1"]);
    const { hosts: before } = await fleet.fleet.listHosts({});
    const second = await start("host1", copy("same-name"));
    await until("the refusal", () =>
      readFileSync(second.logFile, "utf8").includes("AlreadyExists"),
    );
    assert.match(
      readFileSync(second.logFile, "utf8"),
      /host host1 is connected from 127\.0\.0\.1:\d+; this agent .* comes from/,
    );
    const { hosts: now } = await fleet.fleet.listHosts({});
    assert.equal(now[0]?.sessionEpoch, before[0]?.sessionEpoch, "the first one keeps its session");
    held.release();
    assert.equal(Status[(await over(fleet, held.requestId)).status], "COMPLETED");
    assert.equal(held.runs("host1"), 1);
    assert.ok(!existsSync(join(fleet.dir, "same-name", "ran.log")), "the copy ran nothing");
    await second.stop();
  });

  it("under another name: is a host of its own; what its journal has of the first one's tasks counts for nothing", async () => {
    const held = await startHeld(fleet, "first", ["host1"]);
    const prefix = copy("other-name");
    held.release();
    assert.equal(Status[(await over(fleet, held.requestId)).status], "COMPLETED");
    const tasks = await tasksOf(fleet, held.requestId);

    await start("host2", prefix);
    await healthyHosts(fleet, 2);
    // By its journal it was at work on that task, which did not end well here. Whether it registers before or after it has found that out:
    // the report is refused, or not wanted.
    const own = await startHeld(fleet, "own", ["host2"]);
    own.release();
    assert.equal(Status[(await over(fleet, own.requestId)).status], "COMPLETED");
    assert.equal(readFileSync(join(prefix, "ran.log"), "utf8"), "own\n");
    assert.deepEqual(await tasksOf(fleet, held.requestId), tasks);
    assert.equal(held.runs("host1"), 1);
  });
});
