import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { findProcesses } from "@howdah/launcher/find-processes";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import {
  applyTestCluster,
  type Fleet,
  over,
  ran,
  startFleet,
  submit,
  tasksOf,
  tell,
  until,
} from "./fleet.js";

const hosts = ["host1", "host2", "host3"];

/** Each script's own log, over all hosts: which commands ran for the tasks of a request. */
function runsOf(fleet: Fleet, taskIds: ReadonlySet<string>): string[] {
  return hosts
    .flatMap((host) => ran(fleet, host).map((line) => `${host} ${line}`))
    .filter((line) => taskIds.has(line.split(" ").at(-1) ?? ""));
}

describe("kill -9 in the middle of a START of several stages", () => {
  let fleet: Fleet;
  let round = 0;
  before(async () => {
    fleet = await startFleet({ agents: 3 });
    await applyTestCluster(fleet, hosts);
  });
  after(() => fleet?.stop());
  beforeEach(() => {
    round += 1;
  });

  /** Starts the service; holds the first stage on its host until told to go on. */
  async function startHeld(): Promise<{ requestId: bigint; release: () => void }> {
    const gate = join(fleet.dir, `gate-${round}`);
    tell(fleet, "host1", "LEADER-START", { wait_for: gate });
    const before = ran(fleet, "host1").length;
    const requestId = await submit(fleet, RoleCommand.START);
    await until("LEADER's script to run", () => ran(fleet, "host1").length > before);
    return { requestId, release: () => writeFileSync(gate, "") };
  }

  async function ranOnce(requestId: bigint): Promise<void> {
    const request = await over(fleet, requestId);
    assert.equal(Status[request.status], "COMPLETED");
    const tasks = await tasksOf(fleet, requestId);
    assert.equal(tasks.length, 5);
    const runs = runsOf(fleet, new Set(tasks.map((task) => String(task.taskId))));
    assert.equal(runs.length, tasks.length, `each script ran exactly once: ${runs.join("; ")}`);
    assert.deepEqual(
      tasks.map((task) => task.attempt),
      tasks.map(() => 1),
    );
  }

  const victims = {
    agent: () => fleet.installation.agents[0],
    dispatcher: () => fleet.installation.dispatcher,
    scheduler: () => fleet.installation.scheduler,
    "command-store": () => fleet.installation.commandStore,
  } as const;
  for (const [name, victim] of Object.entries(victims)) {
    it(`${name}: the request completes, and each script ran exactly once`, async () => {
      const { requestId, release } = await startHeld();
      const unit = victim();
      assert.ok(unit);
      unit.kill();
      await unit.exited;
      await unit.restart();
      release();
      await ranOnce(requestId);
    });

    it(`${name}, while the script ends: the request completes, and each script ran exactly once`, async () => {
      const { requestId, release } = await startHeld();
      const unit = victim();
      assert.ok(unit);
      unit.kill();
      await unit.exited;
      release();
      const scripts = `${fleet.prefix("host1")}/cache/packages/`;
      await until("the script to have ended", async () => {
        const running = await findProcesses((args) => args.some((arg) => arg.startsWith(scripts)));
        return running.length === 0;
      });
      await unit.restart();
      await ranOnce(requestId);
    });
  }
});
