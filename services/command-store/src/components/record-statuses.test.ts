import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { execute, query } from "../database/query.js";
import { type ComponentFixture, openComponentFixture } from "../testing/component-fixture.js";
import { rejects } from "../testing/rejects.js";
import { openSession } from "../testing/store.js";

const { INIT, INSTALLED, STARTED, STARTING, UNKNOWN, INSTALL_FAILED } = ComponentState;

describe("recordComponentStatuses()", () => {
  let fixture: ComponentFixture;
  before(async () => {
    fixture = await openComponentFixture();
  });
  after(() => fixture?.close());

  it("should apply where the component is INSTALLED, STARTED or UNKNOWN, and count what changed", async () => {
    const { set, stateOf, say } = fixture;
    for (const [from, told, then, changed] of [
      [INSTALLED, STARTED, STARTED, 1],
      [STARTED, INSTALLED, INSTALLED, 1],
      [UNKNOWN, STARTED, STARTED, 1],
      [UNKNOWN, INSTALLED, INSTALLED, 1],
      [STARTED, STARTED, STARTED, 0],
      [INIT, STARTED, INIT, 0],
      [STARTING, STARTED, STARTING, 0],
      [INSTALL_FAILED, INSTALLED, INSTALL_FAILED, 0],
    ] as const) {
      await set("DATANODE", "h1", from);
      const name = `${ComponentState[from]}, told ${ComponentState[told]}`;
      assert.equal(await say("DATANODE", "h1", told), changed, name);
      assert.equal(await stateOf("DATANODE", "h1"), then, name);
    }
  });

  it("should leave clients alone", async () => {
    const { set, stateOf, say } = fixture;
    await set("HDFS_CLIENT", "h1", INSTALLED);
    assert.equal(await say("HDFS_CLIENT", "h1", STARTED), 0);
    assert.equal(await stateOf("HDFS_CLIENT", "h1"), INSTALLED);
  });

  it("should pass over a session that is not its host's any more, and one that is closed", async () => {
    const { set, say, host, store } = fixture;
    await set("DATANODE", "h2", INSTALLED);
    const former = host("h2").sessionEpoch;
    host("h2").sessionEpoch = (
      await openSession(store, "h2", { takeoverEpoch: former })
    ).sessionEpoch;
    assert.equal(await say("DATANODE", "h2", STARTED, { sessionEpoch: former }), 0);
    assert.equal(await say("DATANODE", "h2", STARTED), 1);
    const { hostId, sessionEpoch } = host("h2");
    await store.client.closeSessions({ sessions: [{ hostId, sessionEpoch }] });
    assert.equal(await say("DATANODE", "h2", INSTALLED), 0);
    host("h2").sessionEpoch = (await openSession(store, "h2")).sessionEpoch;
  });

  it("should pass over a component of which a task is under way on the host, and no other", async () => {
    const { set, say, request } = fixture;
    await set("DATANODE", "h1", INSTALLED);
    await set("NAMENODE", "h1", INSTALLED);
    const subject = await request("DATANODE", "h1", RoleCommand.STOP);
    assert.equal(await say("DATANODE", "h1", STARTED), 1, "PENDING is not under way");
    await subject.transit(TaskEvent.RELEASED);
    assert.equal(await say("DATANODE", "h1", INSTALLED), 0, "QUEUED");
    assert.equal(await say("NAMENODE", "h1", STARTED), 1, "another component");
    await subject.transit(TaskEvent.DEADLINE_PASSED);
    await set("DATANODE", "h1", UNKNOWN);
    assert.equal(await say("DATANODE", "h1", INSTALLED), 1, "UNKNOWN: its check tells");
  });

  it("should take the last of two words, in two statements however many there are", async () => {
    const { set, stateOf, store, host, clusterId } = fixture;
    await set("DATANODE", "h1", INSTALLED);
    await set("DATANODE", "h2", STARTED);
    const status = (name: string, state: ComponentState) => ({
      ...host(name),
      clusterId,
      componentName: "DATANODE",
      state,
    });
    const sent: string[] = [];
    const listen = ({ sql }: { sql: string }) => sent.push(sql);
    store.db.on("query", listen);
    const { changed } = await store.client.recordComponentStatuses({
      statuses: [status("h1", INSTALLED), status("h2", INSTALLED), status("h1", STARTED)],
    });
    store.db.removeListener("query", listen);
    assert.equal(changed, 2);
    assert.equal(await stateOf("DATANODE", "h1"), STARTED);
    assert.equal(sent.length, 2, sent.join("\n"));
  });

  it("should refuse a state that no check can find", async () => {
    const { store, host, clusterId } = fixture;
    const statuses = [
      { ...host("h1"), clusterId, componentName: "DATANODE", state: ComponentState.INIT },
    ];
    await rejects(
      store.client.recordComponentStatuses({ statuses }),
      Code.InvalidArgument,
      /statuses.state "INIT of DATANODE" is no status/,
    );
  });
});

describe("listStatusChecks()", () => {
  let fixture: ComponentFixture;
  before(async () => {
    fixture = await openComponentFixture();
  });
  after(() => fixture?.close());

  it("should name what is INSTALLED, STARTED or UNKNOWN and no client, with its cluster's documents", async () => {
    const { store, set, host, clusterId } = fixture;
    assert.deepEqual((await store.client.listStatusChecks({})).components, []);
    await set("DATANODE", "h1", INSTALLED);
    await set("DATANODE", "h2", UNKNOWN);
    await set("NAMENODE", "h1", STARTED);
    await set("SECONDARY_NAMENODE", "h2", STARTING);
    await set("HDFS_CLIENT", "h1", INSTALLED);
    const { components } = await store.client.listStatusChecks({});
    assert.deepEqual(
      components.map(({ componentName, hostIds }) => [componentName, hostIds]),
      [
        ["DATANODE", [host("h1").hostId, host("h2").hostId].sort((a, b) => Number(a - b))],
        ["NAMENODE", [host("h1").hostId]],
      ],
    );
    const [first] = components;
    assert.equal(first?.clusterId, clusterId);
    assert.equal(first?.cluster, "prod");
    assert.equal(first?.serviceName, "HDFS");
    assert.match(first?.configurationsDigest ?? "", /^[0-9a-f]{64}$/);
    assert.match(first?.topologyDigest ?? "", /^[0-9a-f]{64}$/);
    assert.match(first?.metadataDigest ?? "", /^[0-9a-f]{64}$/);
    assert.ok(first && first.clusterVersion > 0n);
  });

  it("should read a row a component from the database, not one a host", async () => {
    const { database, store, clusterId } = fixture;
    const first = 9_000_000_000_000;
    const rows = Array.from({ length: 500 }, (_, i) => [
      ...[Number(clusterId), "DATANODE", first + i, "HDFS", `many${i}`, 0],
      ...["STARTED", "STARTED", 0],
    ]);
    await execute(
      database.db,
      `insert into host_component (cluster_id, component_name, host_id, service_name, host_name, client, desired_state,
        current_state, changed_at) values ?`,
      [rows],
    );
    let read = 0;
    const count = ([found]: [unknown[]]) => {
      read += found.length;
    };
    store.db.on("query-response", count);
    try {
      const { components } = await store.client.listStatusChecks({});
      const ids = components.flatMap(({ componentName, hostIds }) =>
        componentName === "DATANODE" ? hostIds : [],
      );
      assert.deepEqual(
        ids.slice(-500),
        rows.map(([, , id]) => BigInt(id ?? 0)),
      );
      assert.ok(read <= components.length + 1, `${read} rows`);
      const limit = "select @@session.group_concat_max_len as bytes";
      const [{ bytes } = { bytes: 0 }] = await query<{ bytes: number }>(store.db, limit);
      assert.ok(bytes >= 1 << 24, "what a large fleet's hosts come to is cut off");
    } finally {
      store.db.removeListener("query-response", count);
      await execute(database.db, "delete from host_component where host_id >= ?", [first]);
    }
  });

  it("should follow a stack that makes a component a client", async () => {
    const { database, set, store, pushStack } = fixture;
    await set("NAMENODE", "h1", STARTED);
    await pushStack({ clients: ["NAMENODE"] });
    const { components } = await store.client.listStatusChecks({});
    assert.equal(
      components.some(({ componentName }) => componentName === "NAMENODE"),
      false,
    );
    await pushStack({ clients: [] });
    await execute(database.db, "update host_component set current_state = 'INIT'");
  });

  it("should number component states in the table as protobuf does", async () => {
    const [column] = await query<{ type: string }>(
      fixture.database.db,
      `select column_type as type from information_schema.columns
      where table_schema = database() and table_name = 'host_component' and column_name = 'current_state'`,
    );
    const names = [...(column?.type.matchAll(/'(\w+)'/g) ?? [])].map(([, name]) => name);
    assert.deepEqual(
      names,
      names.map((_, index) => ComponentState[index + 1]),
    );
    assert.equal(ComponentState[names.length + 1], undefined);
  });
});
