import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Unit } from "@howdah/launcher/unit";
import { Status } from "@howdah/proto/howdah/v1/status";
import { mountSmallDisk } from "../chaos/fleet/small-disk.js";
import { agentsDoor, startAgent } from "./extra-agent.js";
import { type Fleet, healthyHosts, outputOf, over, runLine, startFleet, tasksOf } from "./fleet.js";
import { reaches } from "./replicas.js";

const undo: (() => void)[] = [];

describe("a full disk on a host", () => {
  let fleet: Fleet;
  let agent: Unit | undefined;
  let skip = "";
  before(async () => {
    fleet = await startFleet({ agents: 0 });
    const prefix = fleet.prefix("host1");
    mkdirSync(prefix, { recursive: true });
    const skipped: string[] = [];
    if (!mountSmallDisk(prefix, undo, skipped)) {
      skip = skipped.join();
      return;
    }
    agent = await startAgent(fleet, "host1", [agentsDoor(fleet)]);
    await healthyHosts(fleet, 1);
  });
  after(async () => {
    await agent?.stop();
    for (const step of undo) step();
    await fleet?.stop();
  });

  const run = (line: string) => runLine(fleet, line, ["host1"]);

  /** Leaves not a byte of the host's disk. */
  function fill(file: string): void {
    const to = openSync(file, "w");
    try {
      for (const size of [1 << 20, 1 << 12, 1]) while (fits(to, Buffer.alloc(size)));
    } finally {
      closeSync(to);
    }
  }

  it("refuses new commands with the reason; what runs records its result, and says that its output is cut", async (t) => {
    if (skip !== "") return t.skip(skip);
    const gate = join(fleet.dir, "gate");
    const running = await run(
      `echo before; until [ -e ${gate} ]; do sleep 0.1; done; seq 100000; exit 3`,
    );
    await reaches(fleet, running, Status.IN_PROGRESS);
    const filler = join(fleet.prefix("host1"), "filler");
    fill(filler);

    writeFileSync(gate, "");
    assert.equal(Status[(await over(fleet, running)).status], "FAILED");
    const [task] = await tasksOf(fleet, running);
    assert.equal(task?.exitCode, 3, "the result is the command's own");
    assert.match(task?.reason ?? "", /the disk of .* is full: what did not fit of its output/);
    assert.match(await outputOf(fleet, task?.taskId ?? 0n), /^before\n1\n2\n/);

    const refused = await run("echo no");
    assert.equal(Status[(await over(fleet, refused)).status], "FAILED");
    const [other] = await tasksOf(fleet, refused);
    assert.match(other?.reason ?? "", /no room .*free space/);

    rmSync(filler);
    const again = await run("echo yes");
    assert.equal(Status[(await over(fleet, again)).status], "COMPLETED");
  });
});

function fits(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) === bytes.length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}
