import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OfflinePolicy } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import {
  applyTestCluster,
  type Fleet,
  over,
  runLine,
  startFleet,
  submit,
  tasksOf,
  until,
} from "./fleet.js";
import { howdah } from "./howdah.js";

const hosts = ["host1", "host2", "host3"];

describe("maintenance mode", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 3, env: { HOWDAH_LOST_AFTER: "1s" } });
    await applyTestCluster(fleet, hosts);
  });
  after(() => fleet?.stop());

  const cli = async (...args: string[]) => {
    const { code, stdout, stderr } = await howdah(fleet, ...args);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  /** `ROLE HOST STATUS` of each task, and what was left out. */
  async function outcome(requestId: bigint) {
    await over(fleet, requestId);
    const { request } = await fleet.store.getRequest({ requestId });
    const tasks = await tasksOf(fleet, requestId);
    return {
      tasks: tasks.map(({ role, hostName, status }) => `${role} ${hostName} ${Status[status]}`),
      skipped: request?.skippedHosts.map(({ hostName, reason }) => `${hostName}: ${reason}`),
    };
  }

  it("leaves a host out of commands and operations, unless it is named", async () => {
    assert.equal(
      await cli("maintenance", "on", "--host", "host2", "--reason", "new disks"),
      "host2 is in maintenance: new disks\n",
    );
    assert.match(await cli("maintenance"), /host +host2 .* new disks/);
    assert.match(await cli("hosts"), /host2 .* new disks\n.*3 hosts, all connected, 1 in maint/s);
    assert.deepEqual(await outcome(await runLine(fleet, "true", ["host*"])), {
      tasks: ["RUN host1 COMPLETED", "RUN host3 COMPLETED"],
      skipped: ["host2: in maintenance: new disks"],
    });
    assert.deepEqual(await outcome(await runLine(fleet, "true", ["host2"])), {
      tasks: ["RUN host2 COMPLETED"],
      skipped: [],
    });
    const { tasks, skipped } = await outcome(await submit(fleet, RoleCommand.INSTALL));
    assert.ok(tasks.length > 0 && tasks.every((task) => !task.includes("host2")), `${tasks}`);
    assert.deepEqual(skipped, ["host2: in maintenance: new disks"]);
    await assert.rejects(
      runLine(fleet, "true", ["*"], { offlinePolicy: OfflinePolicy.REFUSE }),
      /host2 \(in maintenance: new disks\)/,
    );
    assert.equal(
      await cli("maintenance", "off", "--host", "*"),
      "host2 is no longer in maintenance\n",
    );
  });

  it("leaves services and components out, unless they are named; kept over a further apply", async () => {
    await cli("maintenance", "on", "--component", "WORKER", "--host", "host1", "--reason", "slow");
    await applyTestCluster(fleet, hosts);
    const some = await outcome(await submit(fleet, RoleCommand.INSTALL));
    assert.ok(!some.tasks.includes("WORKER host1 COMPLETED"));
    assert.ok(some.tasks.includes("LEADER host1 COMPLETED"));
    assert.deepEqual(some.skipped, ["host1: WORKER is in maintenance: slow"]);
    await cli("maintenance", "on", "--service", "STORE", "--reason", "upgrade");
    await assert.rejects(
      submit(fleet, RoleCommand.INSTALL),
      /there is nothing to do: all hosts are left out: .*host2 \(STORE is in maintenance: upgrade\)/,
    );
    const named = await outcome(await submit(fleet, RoleCommand.INSTALL, { services: ["STORE"] }));
    assert.ok(named.tasks.includes("WORKER host2 COMPLETED"));
    assert.deepEqual(named.skipped, ["host1: WORKER is in maintenance: slow"]);
    await cli("maintenance", "off", "--service", "STORE");
    await cli("maintenance", "off", "--component", "WORKER");
    assert.equal(await cli("maintenance"), "nothing is in maintenance\n");
  });

  it("is waited for until it ends, and says so", async () => {
    await cli("maintenance", "on", "--host", "host3", "--reason", "new disks");
    const id = await runLine(fleet, "true", ["*"], { offlinePolicy: OfflinePolicy.WAIT });
    const tasks = () => tasksOf(fleet, id);
    const shown = async () => (await tasks()).map(({ status }) => Status[status]).join(" ");
    await until("the others", async () => (await shown()) === "COMPLETED COMPLETED PENDING");
    const [, , third] = await tasks();
    assert.match(
      await cli("why", `${third?.taskId}`),
      /waits: its host is in maintenance: new disks, for /,
    );
    await cli("maintenance", "off", "--host", "host3");
    await until("the third", async () => (await shown()) === "COMPLETED COMPLETED COMPLETED");
    const ledger = await cli("why", `${third?.taskId}`);
    assert.match(ledger, /CREATED.*QUEUED.*DELIVERED.*STARTED.*ENDED.*REPORTED/s);
  });

  it("is waited for no longer than the request says, a scheduler's end in between", async () => {
    const offlineExpiry = { seconds: 6n };
    await cli("maintenance", "on", "--host", "host3", "--reason", "new disks");
    const id = await runLine(fleet, "true", ["*"], {
      ...{ offlinePolicy: OfflinePolicy.WAIT, offlineExpiry },
      successFactors: { RUN: 0.5 },
    });
    const { scheduler } = fleet.installation;
    scheduler.kill();
    await scheduler.exited;
    await scheduler.restart();
    const { tasks } = await outcome(id);
    assert.deepEqual(tasks, ["RUN host1 COMPLETED", "RUN host2 COMPLETED", "RUN host3 ABORTED"]);
    const given = (await tasksOf(fleet, id)).find(({ hostName }) => hostName === "host3");
    assert.equal(
      given?.reason,
      "host host3 was in maintenance (new disks) when options.offline_expiry (6s) ran out",
    );
    await cli("maintenance", "off", "--host", "host3");
  });
});
