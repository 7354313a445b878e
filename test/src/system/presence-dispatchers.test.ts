import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { type Host, HostState } from "@howdah/proto/howdah/v1/fleet";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, startFleet, tasksOf, until } from "./fleet.js";
import { directly, schedulerLease, startHeld } from "./replicas.js";

describe("presence of hosts with two dispatchers", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({
      agents: 2,
      replicas: { dispatcher: 2 },
      env: { HOWDAH_LOST_AFTER: "3s" },
    });
  });
  after(() => fleet?.stop());

  async function look(hostName: string): Promise<Host> {
    const { host } = await fleet.fleet.getHost({ hostName });
    assert.ok(host);
    return host;
  }

  it("a lost host whose session its dispatcher still has is asked to register again; what runs there goes on", async () => {
    const held = await startHeld(fleet, "held", ["host1"]);
    const { hostId, sessionEpoch, dispatcher } = await look("host1");
    const { token: schedulerToken } = await schedulerLease(fleet);
    // As a scheduler does that could not see the dispatcher renew its lease.
    await until("host1 to be lost", () =>
      directly(fleet.installation.commandStore, CommandStoreService, async (store) => {
        const { leases } = await store.listLeases({ prefix: dispatcher });
        const expiredLeases = leases.map(({ name, token, counter }) => ({ name, token, counter }));
        const hosts = [{ hostId, sessionEpoch }];
        const request = { schedulerToken, hosts, expiredLeases };
        return (await store.recordLostHosts(request)).lostHostIds.length === 1;
      }),
    );
    assert.equal((await look("host1")).state, HostState.HEARTBEAT_LOST);
    const { scheduler } = fleet.installation;
    scheduler.kill();
    await scheduler.exited;
    await scheduler.restart();
    await until("host1 to register again", async () => {
      const host = await look("host1");
      return host.connected && host.sessionEpoch === sessionEpoch + 1n;
    });
    assert.equal((await look("host1")).state, HostState.HEALTHY);
    assert.equal((await tasksOf(fleet, held.requestId))[0]?.status, Status.IN_PROGRESS);
    held.release();
    assert.equal((await over(fleet, held.requestId)).status, Status.COMPLETED);
    assert.equal(held.runs("host1"), 1);
  });

  it("a host that dies together with its dispatcher is lost, and nobody else", async () => {
    const { dispatcher } = await look("host2");
    const unit = fleet.installation.services.dispatcher.find(
      ({ name }) => dispatcher === `dispatcher/${name}`,
    );
    const agent = fleet.installation.agents[1];
    assert.ok(unit && agent);
    for (const process of [unit, agent]) process.kill();
    for (const process of [unit, agent]) await process.exited;
    // The fresh interval, the reconnect window of 15 s, and the dispatcher's lease.
    await until(
      "host2 to be lost",
      async () => (await look("host2")).state === HostState.HEARTBEAT_LOST,
      60_000,
    );
    const [one, two] = [await look("host1"), await look("host2")];
    assert.deepEqual([two.connected, two.dispatcher], [false, ""]);
    assert.deepEqual([one.state, one.connected], [HostState.HEALTHY, true]);
    await unit.restart();
    await agent.restart();
    await until(
      "host2 to be HEALTHY",
      async () => (await look("host2")).state === HostState.HEALTHY,
    );
  });
});
