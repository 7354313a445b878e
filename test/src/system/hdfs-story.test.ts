import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import {
  applyTestCluster,
  type Fleet,
  over,
  pushStack,
  root,
  startFleet,
  submit,
  tasksOf,
  tell,
} from "./fleet.js";
import { howdah, type Ran } from "./howdah.js";

const hosts = ["host1", "host2", "host3"];
const ambari = join(root, "..", "shared", "data", "ambari");
const stub = join(
  root,
  "test",
  "stacks",
  "TEST",
  "1.0",
  "services",
  "STORE",
  "package",
  "scripts",
  "stub.py",
);

/** Shows the four tables as the CLI shows them. */
async function showTables(
  t: TestContext,
  fleet: Fleet,
  requestIds: readonly bigint[],
): Promise<string> {
  const parts: [table: string, shown: Ran][] = [["request", await howdah(fleet, "requests")]];
  for (const id of requestIds.map(String)) {
    parts.push(["stage", await howdah(fleet, "request", id)]);
    parts.push(["host_role_command", await howdah(fleet, "tasks", id)]);
    parts.push(["execution_command", await howdah(fleet, "tasks", id, "--commands")]);
  }
  for (const [table, { code, stdout, stderr }] of parts) {
    assert.equal(code, 0, stderr);
    t.diagnostic(`${table}\n${stdout}`);
  }
  return parts.map(([, { stdout }]) => stdout).join("\n");
}

/** The stages of a request as lists of `ROLE COMMAND`, from its tasks. */
async function stagesOf(fleet: Fleet, requestId: bigint): Promise<string[][]> {
  const stages: Set<string>[] = [];
  for (const { stageId, role, roleCommand } of await tasksOf(fleet, requestId)) {
    stages[stageId] ??= new Set();
    stages[stageId].add(`${role} ${RoleCommand[roleCommand]}`);
  }
  return stages.map((stage) => [...stage].sort());
}

async function byRole(fleet: Fleet, requestId: bigint): Promise<string[]> {
  const tasks = await tasksOf(fleet, requestId);
  return tasks.map(({ role, hostName, status }) => `${role} ${hostName} ${Status[status]}`).sort();
}

interface Story {
  readonly failing: string;
  readonly services: string[];
  readonly installTasks: number;
  readonly startStages: string[][];
}

/** Three installs, of which the first two fail on a host; then a start with its check. */
async function tellStory(t: TestContext, fleet: Fleet, story: Story): Promise<void> {
  const { failing, services } = story;
  const installs: bigint[] = [];
  for (const host of ["host2", "host3"]) {
    tell(fleet, host, `${failing}-INSTALL`, { exit: 1 });
    const id = await submit(fleet, RoleCommand.INSTALL, { services });
    const request = await over(fleet, id);
    assert.equal(Status[request.status], "FAILED");
    assert.match(request.abortReason, new RegExp(`${failing} failed on 1 host`));
    const failed = (await byRole(fleet, id)).filter((line) => line.endsWith("FAILED"));
    assert.deepEqual(failed, [`${failing} ${host} FAILED`]);
    tell(fleet, host, `${failing}-INSTALL`, {});
    installs.push(id);
  }
  const installed = await submit(fleet, RoleCommand.INSTALL, { services });
  assert.equal(Status[(await over(fleet, installed)).status], "COMPLETED");
  const tasks = await tasksOf(fleet, installed);
  assert.equal(tasks.length, story.installTasks);
  assert.deepEqual(new Set(tasks.map((task) => task.stageId)), new Set([0]));

  const started = await submit(fleet, RoleCommand.START, { services });
  assert.equal(Status[(await over(fleet, started)).status], "COMPLETED");
  assert.deepEqual(await stagesOf(fleet, started), story.startStages);
  await orderedInTime(fleet, started);

  const shown = await showTables(t, fleet, [...installs, installed, started]);
  for (const word of ["FAILED", "COMPLETED", failing, "host3"])
    assert.match(shown, new RegExp(word));
}

/** No task of a stage started before every task of the stage before had ended. */
async function orderedInTime(fleet: Fleet, requestId: bigint): Promise<void> {
  let lastEnd = 0;
  let stage = -1;
  let ends = 0;
  for (const task of await tasksOf(fleet, requestId)) {
    if (task.stageId !== stage) [stage, lastEnd] = [task.stageId, ends];
    const { startedAt, endedAt } = task.times ?? {};
    assert.ok(startedAt && endedAt, `task ${task.taskId} has its times`);
    const startMs = Number(startedAt.seconds) * 1_000 + startedAt.nanos / 1e6;
    assert.ok(
      startMs >= lastEnd,
      `task ${task.taskId} of stage ${stage} started after the stage before`,
    );
    ends = Math.max(ends, Number(endedAt.seconds) * 1_000 + endedAt.nanos / 1e6);
  }
}

describe("the HDFS story: two installs that fail on a host, one that succeeds, a start in Ambari's order", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 3 });
  });
  after(() => fleet?.stop());

  it("with a stack of ours", async (t) => {
    await applyTestCluster(fleet, hosts);
    await tellStory(t, fleet, {
      failing: "WORKER",
      services: ["STORE"],
      installTasks: 5,
      startStages: [["LEADER START"], ["WORKER START"], ["STORE_SERVICE_CHECK SERVICE_CHECK"]],
    });
  });

  it("with Ambari's BIGTOP 3.2.0", async (t) => {
    if (!existsSync(ambari)) return t.skip("skipped: ../shared/data/ambari is not here");
    const copy = join(fleet.dir, "ambari");
    cpSync(ambari, copy, { recursive: true });
    const scripts = join(
      copy,
      "stacks",
      "BIGTOP",
      "3.2.0",
      "services",
      "HDFS",
      "package",
      "scripts",
    );
    mkdirSync(scripts, { recursive: true });
    for (const name of ["namenode", "snamenode", "datanode", "hdfs_client", "service_check"]) {
      cpSync(stub, join(scripts, `${name}.py`));
    }
    await pushStack(fleet, join(copy, "stacks", "BIGTOP", "3.2.0"));
    rmSync(copy, { recursive: true });
    await fleet.fleet.applyCluster({
      name: "test",
      stack: "BIGTOP/3.2.0",
      services: [
        {
          name: "HDFS",
          components: [
            { name: "NAMENODE", hostNames: ["host1"] },
            { name: "SECONDARY_NAMENODE", hostNames: ["host2"] },
            { name: "DATANODE", hostNames: hosts },
            { name: "HDFS_CLIENT", hostNames: hosts },
          ],
        },
      ],
    });
    await tellStory(t, fleet, {
      failing: "HDFS_CLIENT",
      services: ["HDFS"],
      installTasks: 8,
      startStages: [
        ["DATANODE START", "NAMENODE START"],
        ["SECONDARY_NAMENODE START"],
        ["HDFS_SERVICE_CHECK SERVICE_CHECK"],
      ],
    });
  });
});
