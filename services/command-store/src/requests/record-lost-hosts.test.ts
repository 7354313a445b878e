import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import { execute, query } from "../database/query.js";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { rejects } from "../testing/rejects.js";
import { openFleet } from "../testing/sample-cluster.js";
import { openSession } from "../testing/store.js";

describe("RecordLostHosts", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  /** A host with a session, ended unless `stay`. */
  async function host(hostName: string, { stay = false, dispatcher = "dispatcher/d1" } = {}) {
    const { hostId, sessionEpoch } = await openSession(fixture.store, hostName, { dispatcher });
    const key = { hostId, sessionEpoch };
    if (!stay) await fixture.store.client.closeSessions({ sessions: [key] });
    return key;
  }

  type Seen = { name: string; token: bigint; counter: bigint };
  async function lose(
    hosts: { hostId: bigint; sessionEpoch: bigint }[],
    { token = 10n, expired = [] as Seen[] } = {},
  ) {
    const { client } = fixture.store;
    const { lostHostIds } = await client.recordLostHosts({
      ...{ schedulerToken: token, hosts, expiredLeases: expired },
    });
    return lostHostIds;
  }

  async function look(hostName: string) {
    const { host: found } = await openFleet(fixture.database.db).fleet.getHost({ hostName });
    assert.ok(found);
    return found;
  }

  async function acquire(name: string, holder: string) {
    const { lease } = await fixture.store.client.acquireLease({
      ...{ name, holder, address: "127.0.0.1:7430", durationMs: 6_000n },
    });
    assert.ok(lease);
    return lease;
  }

  it("should leave a host HEALTHY that has no session for a moment", async () => {
    await host("moment");
    const { state, connected, lostAt, disconnectedAt } = await look("moment");
    assert.deepEqual([state, connected, lostAt], [HostState.HEALTHY, false, undefined]);
    assert.ok(disconnectedAt);
  });

  it("should make a host lost once, and HEALTHY with its next session", async () => {
    const key = await host("once");
    assert.deepEqual(await lose([key]), [key.hostId]);
    const lost = await look("once");
    assert.equal(lost.state, HostState.HEARTBEAT_LOST);
    assert.ok(lost.lostAt);
    assert.deepEqual(await lose([key]), []);
    await openSession(fixture.store, "once");
    const back = await look("once");
    assert.deepEqual(
      [back.state, back.connected, back.lostAt],
      [HostState.HEALTHY, true, undefined],
    );
  });

  it("should pass over a host that has registered again, connected or not", async () => {
    const old = await host("again");
    const newer = await host("again");
    assert.deepEqual(await lose([old]), []);
    const stays = await host("stays", { stay: true });
    await acquire("dispatcher/d1", "d1/1");
    assert.deepEqual(await lose([stays]), []);
    assert.equal((await look("again")).state, HostState.HEALTHY);
    assert.deepEqual(await lose([newer]), [newer.hostId]);
  });

  it("should take a session for ended when its dispatcher's lease is over, and close it", async () => {
    const { token } = await acquire("dispatcher/d7", "d7/1");
    const open = (name: string) =>
      openSession(fixture.store, name, { dispatcher: "dispatcher/d7", dispatcherToken: token });
    const [expired, taken, never] = [await open("expired"), await open("taken"), await open("it")];
    const seen = { name: "dispatcher/d7", token, counter: 1n };
    const others = [
      { ...seen, counter: 2n },
      { ...seen, token: token + 1n },
      { ...seen, name: "dispatcher/d8" },
    ];
    assert.deepEqual(await lose([expired], { expired: others }), []);
    assert.deepEqual(await lose([expired], { expired: [seen] }), [expired.hostId]);
    assert.equal((await look("expired")).connected, false);
    await fixture.store.client.renewLease({ name: "dispatcher/d7", token });
    assert.deepEqual(await lose([never], { expired: [seen] }), []);
    await acquire("dispatcher/d7", "d7/2");
    assert.deepEqual(await lose([taken]), [taken.hostId]);
    await fixture.store.client.releaseLease({ name: "dispatcher/d7", token: token + 1n });
    assert.deepEqual(await lose([never]), [never.hostId]);
  });

  it("should make the components UNKNOWN that were installed, clients apart, on lost hosts only", async () => {
    const [gone, here] = [await host("gone"), await host("here")];
    const states = ["INIT", "INSTALLING", "INSTALL_FAILED", "INSTALLED", "STARTED", "STARTING"];
    states.push("STOPPING", "UNINSTALLED", "DISABLED");
    const { db } = fixture.database;
    const rows = [gone, here].flatMap(({ hostId }, at) => [
      ...states.map((state) => [1, `C_${state}`, hostId, "S", `h${at}`, 0, "STARTED", state, 5, 0]),
      [1, "CLIENT", hostId, "S", `h${at}`, 1, "INSTALLED", "INSTALLED", 5, 0],
    ]);
    await execute(
      db,
      `insert into host_component (cluster_id, component_name, host_id, service_name, host_name, client, desired_state,
        current_state, changed_at, binding_id) values ?`,
      [rows],
    );
    await lose([gone]);
    const unknown = await query<{ host_id: number; component_name: string }>(
      db,
      "select host_id, component_name from host_component where current_state = 'UNKNOWN' and changed_at > 5",
    );
    assert.deepEqual(
      unknown.map(({ host_id, component_name }) => [BigInt(host_id), component_name]).sort(),
      ["INSTALLED", "STARTED", "STARTING", "STOPPING"]
        .map((state) => [gone.hostId, `C_${state}`])
        .sort(),
    );
  });

  it("should refuse a scheduler that another one has succeeded, from its first call on", async () => {
    const key = await host("fenced");
    await lose([], { token: 20n });
    await rejects(
      lose([key], { token: 19n }),
      Code.FailedPrecondition,
      /scheduler_token 19 is stale/,
    );
    assert.equal((await look("fenced")).state, HostState.HEALTHY);
    assert.deepEqual(await lose([key], { token: 20n }), [key.hostId]);
    await lose([], { token: 10n }).catch(() => {});
    await execute(fixture.database.db, "update host_monitor set scheduler_token = 0");
  });

  it("should change the row of the host monitor each time, so that two nodes of a cluster see that they collide", async () => {
    const { db } = fixture.database;
    const row = () => query(db, "select * from host_monitor");
    await lose([], { token: 10n });
    const before = await row();
    await lose([], { token: 10n });
    assert.notDeepEqual(await row(), before);
  });

  it("should decide with the registration that comes at the same time, one way or the other", async () => {
    for (let round = 0; round < 8; round += 1) {
      const name = `race-${round}`;
      const key = await host(name);
      const [lost, opened] = await Promise.all([lose([key]), openSession(fixture.store, name)]);
      assert.equal(opened.sessionEpoch, key.sessionEpoch + 1n);
      // Whichever came first: the session that opened last makes it HEALTHY.
      assert.equal((await look(name)).state, HostState.HEALTHY, `lost: ${lost}`);
    }
  });

  it("should list the hosts of one state", async () => {
    const key = await host("listed");
    await lose([key]);
    const { fleet } = openFleet(fixture.database.db);
    const names = async (state: HostState) =>
      (await fleet.listHosts({ state, brief: true })).hosts.map(({ hostName }) => hostName);
    assert.ok((await names(HostState.HEARTBEAT_LOST)).includes("listed"));
    assert.ok(!(await names(HostState.HEALTHY)).includes("listed"));
    assert.ok((await names(HostState.UNSPECIFIED)).includes("listed"));
  });

  it("should refuse what cannot be", async () => {
    const key = { hostId: 1n, sessionEpoch: 1n };
    await rejects(lose([key, key]), Code.InvalidArgument, /hosts.host_id 1 comes twice/);
    await rejects(lose([key], { token: 0n }), Code.InvalidArgument, /scheduler_token/);
    const many = Array.from({ length: 1_001 }, (_, i) => ({ ...key, hostId: BigInt(i + 1) }));
    await rejects(lose(many), Code.InvalidArgument, /hosts 1001 are too many; send 1000 at most/);
  });
});
