import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Mariadb, startMariadb } from "@howdah/launcher/start-mariadb";
import { ComponentState, type Host, HostState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { createConnection } from "mysql2/promise";
import {
  applyTestCluster,
  type Fleet,
  healthyHosts,
  over,
  startFleet,
  submit,
  until,
} from "./fleet.js";

const lostAfterMs = 3_000;
/** Longer than the interval: whoever counted it would mark hosts lost. */
const outageMs = 2 * lostAfterMs;

describe("presence of hosts", () => {
  let fleet: Fleet;
  let again: Mariadb | undefined;
  before(async () => {
    fleet = await startFleet({
      agents: 3,
      privateDatabase: true,
      env: { HOWDAH_LOST_AFTER: `${lostAfterMs}ms` },
    });
    await applyTestCluster(fleet, ["host1", "host2", "host3"]);
    for (const command of [RoleCommand.INSTALL, RoleCommand.START]) {
      const { status } = await over(fleet, await submit(fleet, command));
      assert.equal(status, Status.COMPLETED);
    }
  });
  after(async () => {
    await fleet?.stop();
    await again?.stop();
  });

  async function look(hostName: string): Promise<Host> {
    const { host } = await fleet.fleet.getHost({ hostName });
    assert.ok(host);
    return host;
  }

  /** When each host was lost last, 0 for never: the store keeps it after the host is back. */
  async function lostAt(): Promise<number[]> {
    const connection = await createConnection(fleet.installation.databaseUrl);
    try {
      const [rows] = await connection.query("select lost_at from host order by host_name");
      return (rows as { lost_at: number }[]).map((row) => Number(row.lost_at));
    } finally {
      await connection.end();
    }
  }

  async function componentStates(host: string): Promise<string[]> {
    const { hostComponents } = await fleet.fleet.listHostComponents({ hosts: { names: [host] } });
    return hostComponents.map(
      ({ componentName, currentState }) => `${componentName} ${ComponentState[currentState]}`,
    );
  }

  it("host3 is lost when its agent stays away for the interval, its components are UNKNOWN; back, it is HEALTHY", async () => {
    const agent = fleet.installation.agents[2];
    assert.ok(agent);
    assert.deepEqual((await componentStates("host3")).sort(), [
      "STORE_CLIENT INSTALLED",
      "WORKER STARTED",
    ]);
    agent.kill();
    await agent.exited;
    const began = performance.now();
    await until("the session to end", async () => !(await look("host3")).connected);
    assert.equal((await look("host3")).state, HostState.HEALTHY, "away for a moment only");
    await until("host3 to be lost", async () => {
      const { state, lostAt: at } = await look("host3");
      return state === HostState.HEARTBEAT_LOST && at !== undefined;
    });
    const tookMs = performance.now() - began;
    assert.ok(tookMs > lostAfterMs - 500 && tookMs < lostAfterMs + 3_000, `${tookMs} ms`);
    assert.deepEqual((await componentStates("host3")).sort(), [
      "STORE_CLIENT INSTALLED",
      "WORKER UNKNOWN",
    ]);
    assert.deepEqual(await componentStates("host1"), ["LEADER STARTED", "WORKER STARTED"]);
    const { hosts } = await fleet.fleet.listHosts({ state: HostState.HEARTBEAT_LOST });
    assert.deepEqual(
      hosts.map(({ hostName }) => hostName),
      ["host3"],
    );
    await agent.restart();
    await until(
      "host3 to be HEALTHY",
      async () => (await look("host3")).state === HostState.HEALTHY,
    );
    assert.equal((await look("host3")).lostAt, undefined);
  });

  it("nobody is lost when the scheduler, the dispatcher or MariaDB is away for longer than the interval", async () => {
    const before = await lostAt();
    assert.deepEqual(before.slice(0, 2), [0, 0]);
    assert.ok((before[2] ?? 0) > 0);
    const { scheduler, dispatcher, mariadb } = fleet.installation;
    for (const service of [scheduler, dispatcher]) {
      service.kill();
      await service.exited;
      await sleep(outageMs);
      await service.restart();
      await healthyHosts(fleet, 3);
      // Long enough for an interval that began too early to end.
      await sleep(lostAfterMs);
    }
    assert.ok(mariadb);
    const agent = fleet.installation.agents[1];
    assert.ok(agent);
    // One that is on its way back while there is no database cannot register.
    agent.kill();
    await agent.exited;
    await mariadb.kill();
    const restarting = agent.restart();
    await sleep(outageMs);
    again = await startMariadb({
      dataDir: join(fleet.dir, "mariadb"),
      durable: true,
      port: mariadb.port,
    });
    await restarting;
    await healthyHosts(fleet, 3);
    await sleep(lostAfterMs);
    assert.deepEqual(await lostAt(), before);
    const { hosts } = await fleet.fleet.listHosts({});
    assert.deepEqual(
      hosts.map(({ state }) => HostState[state]),
      ["HEALTHY", "HEALTHY", "HEALTHY"],
    );
  });

  it("a host is lost after that as before", async () => {
    const agent = fleet.installation.agents[0];
    assert.ok(agent);
    agent.kill();
    await agent.exited;
    await until("host1 to be lost", async () => {
      return (await look("host1")).state === HostState.HEARTBEAT_LOST;
    });
    await agent.restart();
    await until(
      "host1 to be HEALTHY",
      async () => (await look("host1")).state === HostState.HEALTHY,
    );
  });
});
