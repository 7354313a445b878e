import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { execute } from "../database/query.js";
import {
  type ComponentFixture,
  type ComponentTask,
  openComponentFixture,
} from "../testing/component-fixture.js";
import { roundTrips } from "../testing/explained.js";
import { createSample } from "../testing/store.js";

const { INIT, INSTALLING, INSTALL_FAILED, INSTALLED, STARTING, STARTED } = ComponentState;
const { STOPPING, UNKNOWN } = ComponentState;
const { INSTALL, START, STOP, CUSTOM_COMMAND } = RoleCommand;
const { RELEASED, SUCCEEDED, FAILED, CANCELLED, DEADLINE_PASSED, NEVER_STARTED } = TaskEvent;
const restart = [CUSTOM_COMMAND, { customCommand: "RESTART" }] as const;

describe("component states", () => {
  let fixture: ComponentFixture;
  before(async () => {
    fixture = await openComponentFixture();
  });
  after(() => fixture?.close());

  const states = async (component = "DATANODE", host = "h1") => {
    const { desired, current } = await fixture.row(component, host);
    return [ComponentState[desired], ComponentState[current]];
  };

  it("should follow the commands of a component: install, start, restart, stop", async () => {
    const { request } = fixture;
    assert.deepEqual(await states(), ["INIT", "INIT"]);
    for (const [command, more, running, ended, desired] of [
      [INSTALL, {}, "INSTALLING", "INSTALLED", "INSTALLED"],
      [START, {}, "STARTING", "STARTED", "STARTED"],
      [...restart, "STARTING", "STARTED", "STARTED"],
      [STOP, {}, "STOPPING", "INSTALLED", "INSTALLED"],
    ] as const) {
      const [, was] = await states();
      const task = await request("DATANODE", "h1", command, more);
      assert.deepEqual(await states(), [desired, was], "what is wanted is there with the request");
      await task.transit(RELEASED);
      assert.deepEqual(await states(), [desired, was], "a command on its way changes nothing");
      await task.report(TaskEvent.STARTED);
      assert.deepEqual(await states(), [desired, running]);
      await task.report(SUCCEEDED);
      assert.deepEqual(await states(), [desired, ended]);
    }
  });

  it("should leave other components and hosts alone", async () => {
    assert.deepEqual(await states("DATANODE", "h2"), ["INIT", "INIT"]);
    assert.deepEqual(await states("NAMENODE", "h1"), ["INIT", "INIT"]);
  });

  it("should say INSTALL_FAILED, INSTALLED or STARTED after a failure, and the next status tells the truth", async () => {
    const { request, set, stateOf, say } = fixture;
    for (const [from, command, then] of [
      [INIT, INSTALL, INSTALL_FAILED],
      [INSTALLED, START, INSTALLED],
      [STARTED, STOP, STARTED],
    ] as const) {
      await set("DATANODE", "h1", from);
      const task = await request("DATANODE", "h1", command);
      await task.transit(RELEASED);
      await task.report(TaskEvent.STARTED);
      await task.report(FAILED);
      assert.equal(await stateOf("DATANODE", "h1"), then, RoleCommand[command]);
    }
    assert.equal(await say("DATANODE", "h1", INSTALLED), 1);
  });

  it("should take an end without a start, as short commands tell it", async () => {
    const { request, set, stateOf } = fixture;
    await set("DATANODE", "h1", INSTALLED);
    const task = await request("DATANODE", "h1", START);
    await task.transit(RELEASED);
    await task.report(SUCCEEDED);
    assert.equal(await stateOf("DATANODE", "h1"), STARTED);
  });

  it("should take several words of a batch in the order in which the host ran them", async () => {
    const { request, set, stateOf, store } = fixture;
    await set("DATANODE", "h1", INIT);
    const install = await request("DATANODE", "h1", INSTALL);
    const start = await request("DATANODE", "h1", START);
    await install.transit(RELEASED);
    await start.transit(RELEASED);
    await store.client.recordReports({
      reports: [
        install.word(TaskEvent.STARTED),
        install.word(SUCCEEDED),
        start.word(TaskEvent.STARTED),
      ],
    });
    assert.equal(await stateOf("DATANODE", "h1"), STARTING);
    await start.report(SUCCEEDED);
    // The older request's task runs last: its id says nothing about when.
    const first = await request("DATANODE", "h1", START);
    const second = await request("DATANODE", "h1", STOP);
    await second.transit(RELEASED);
    await first.transit(RELEASED);
    await store.client.recordReports({
      reports: [
        { ...second.word(SUCCEEDED), startedAtMs: 1_000n, endedAtMs: 2_000n },
        { ...first.word(SUCCEEDED), startedAtMs: 3_000n, endedAtMs: 4_000n },
      ],
    });
    assert.equal(await stateOf("DATANODE", "h1"), STARTED);
  });

  it("should say a failure before the attempt that follows it", async () => {
    const { request, set, stateOf } = fixture;
    await set("DATANODE", "h1", INSTALLED);
    const options = { retry: { maxAttempts: 2 } };
    const task = await request("DATANODE", "h1", START, { options });
    await task.transit(RELEASED);
    await task.report(TaskEvent.STARTED);
    await task.report(FAILED);
    assert.equal(await stateOf("DATANODE", "h1"), INSTALLED);
    await task.transit(RELEASED, 2);
    await task.report(TaskEvent.STARTED, 2);
    assert.equal(await stateOf("DATANODE", "h1"), STARTING);
    await task.report(SUCCEEDED, 2);
    assert.equal(await stateOf("DATANODE", "h1"), STARTED);
  });

  it("should let a person's word about a held task change nothing", async () => {
    const { request, set, stateOf, say } = fixture;
    await set("DATANODE", "h1", INSTALLED);
    const task = await request("DATANODE", "h1", START, { options: { onFailure: OnFailure.HOLD } });
    await task.transit(RELEASED);
    await task.report(TaskEvent.STARTED);
    await task.report(FAILED);
    assert.equal(await say("DATANODE", "h1", STARTED), 1, "it runs after all");
    await task.transit(TaskEvent.RESOLVED_SKIP);
    assert.equal(await stateOf("DATANODE", "h1"), STARTED);
  });

  it("should go back from what a cancel ended, and stay where nothing began", async () => {
    const { request, set, stateOf } = fixture;
    for (const [from, command, then] of [
      [INIT, INSTALL, INSTALL_FAILED],
      [INSTALLED, START, INSTALLED],
      [STARTED, STOP, STARTED],
    ] as const) {
      await set("DATANODE", "h1", from);
      const task = await request("DATANODE", "h1", command);
      await task.transit(RELEASED);
      await task.transit(TaskEvent.CANCEL_REQUESTED);
      await task.report(TaskEvent.STARTED);
      await task.report(CANCELLED);
      assert.equal(await stateOf("DATANODE", "h1"), then, RoleCommand[command]);
      await set("DATANODE", "h1", from);
      const unsent = await request("DATANODE", "h1", command);
      await unsent.transit(RELEASED);
      await unsent.transit(TaskEvent.CANCEL_REQUESTED);
      await unsent.report(NEVER_STARTED);
      assert.equal(await stateOf("DATANODE", "h1"), from, RoleCommand[command]);
    }
  });

  it("should not know what an UNKNOWN task left behind, and be corrected by a late word", async () => {
    const { request, set, stateOf } = fixture;
    for (const [from, command, running, unknown, word, then] of [
      [INSTALLED, START, STARTING, UNKNOWN, SUCCEEDED, STARTED],
      [INSTALLED, START, STARTING, UNKNOWN, FAILED, INSTALLED],
      [STARTED, STOP, STOPPING, UNKNOWN, SUCCEEDED, INSTALLED],
      [STARTED, STOP, STOPPING, UNKNOWN, FAILED, STARTED],
      [INIT, INSTALL, INSTALLING, INSTALL_FAILED, SUCCEEDED, INSTALLED],
      [INIT, INSTALL, INSTALLING, INSTALL_FAILED, FAILED, INSTALL_FAILED],
    ] as const) {
      await set("DATANODE", "h1", from);
      const task = await request("DATANODE", "h1", command);
      await task.transit(RELEASED);
      await task.report(TaskEvent.STARTED);
      assert.equal(await stateOf("DATANODE", "h1"), running);
      await task.transit(DEADLINE_PASSED);
      assert.equal(await stateOf("DATANODE", "h1"), unknown);
      await task.report(word);
      assert.equal(
        await stateOf("DATANODE", "h1"),
        then,
        `${RoleCommand[command]} ${TaskEvent[word]}`,
      );
    }
  });

  it("should keep what a newer check found, whatever is told late", async () => {
    const { request, set, stateOf, say } = fixture;
    await set("DATANODE", "h1", INSTALLED);
    const task = await request("DATANODE", "h1", START);
    await task.transit(RELEASED);
    await task.report(TaskEvent.STARTED);
    await task.transit(DEADLINE_PASSED);
    assert.equal(await say("DATANODE", "h1", INSTALLED), 1);
    await task.report(SUCCEEDED);
    assert.equal(await stateOf("DATANODE", "h1"), INSTALLED);
  });

  it("should operate on what is UNKNOWN", async () => {
    const { request, set, stateOf } = fixture;
    for (const [command, then] of [
      [START, STARTED],
      [STOP, INSTALLED],
      [INSTALL, INSTALLED],
    ] as const) {
      await set("DATANODE", "h1", UNKNOWN);
      const task = await request("DATANODE", "h1", command);
      await task.transit(RELEASED);
      await task.report(TaskEvent.STARTED);
      await task.report(SUCCEEDED);
      assert.equal(await stateOf("DATANODE", "h1"), then, RoleCommand[command]);
    }
  });

  it("should say when a state changed last, and not when it stayed", async () => {
    const { database, request, row } = fixture;
    await execute(
      database.db,
      "update host_component set changed_at = 7, current_state = 'STARTED' where component_name = 'DATANODE'",
    );
    const again = await request("DATANODE", "h1", START);
    await again.transit(RELEASED);
    await again.report(SUCCEEDED);
    assert.equal((await row("DATANODE", "h1")).changedAt, 7);
    const stop = await request("DATANODE", "h1", STOP);
    await stop.transit(RELEASED);
    await stop.report(SUCCEEDED);
    assert.ok((await row("DATANODE", "h1")).changedAt > Date.now() - 60_000);
  });

  it("should keep the documents that a START, a RESTART or a client's INSTALL ran with", async () => {
    const { request, row, apply, set } = fixture;
    const run = async (component: string, ...what: [RoleCommand, { customCommand?: string }?]) => {
      const task = await request(component, "h1", ...what);
      await task.transit(RELEASED);
      await task.report(SUCCEEDED);
      return (await row(component, "h1")).bindingId;
    };
    await set("NAMENODE", "h1", INIT);
    assert.equal(await run("NAMENODE", INSTALL), 0, "installed, not started");
    const first = await run("NAMENODE", START);
    assert.ok(first > 0);
    await apply({ configurations: { "hdfs-site": { properties: { "dfs.replication": "2" } } } });
    assert.equal(await run("NAMENODE", STOP), first);
    const second = await run("NAMENODE", ...restart);
    assert.ok(second > first);
    assert.equal(await run("HDFS_CLIENT", INSTALL), second);
    await apply({ configurations: { "hdfs-site": { properties: { "dfs.replication": "4" } } } });
    const third = await run("HDFS_CLIENT", ...restart);
    assert.ok(third > second);
    assert.deepEqual(await states("HDFS_CLIENT"), ["INSTALLED", "INSTALLED"]);
  });

  it("should cost one statement for a batch, and none without a cluster", async () => {
    const { request, store } = fixture;
    const recorded = (work: () => Promise<unknown>) => roundTrips(store.db, work);
    const statements = async (count: number) => {
      const words: ReturnType<ComponentTask["word"]>[] = [];
      for (let i = 0; i < count; i += 1) {
        const task = await request(i % 2 === 0 ? "DATANODE" : "NAMENODE", "h1", START);
        await task.transit(RELEASED);
        words.push(task.word(SUCCEEDED));
      }
      return recorded(() => store.client.recordReports({ reports: words }));
    };
    const one = await statements(1);
    const many = await statements(6);
    assert.equal(many.length, one.length);
    assert.equal(many.filter((sql) => sql.includes("host_component")).length, 1);
    const { hostId, sessionEpoch } = fixture.host("h1");
    const stages = [[{ role: "DATANODE", hosts: [hostId] }]];
    const { request: made, taskIds } = await createSample(store, { stages });
    const subject = { taskId: taskIds[0] ?? 0n, attempt: 1, hostId, sessionEpoch };
    const requestId = made?.requestId ?? 0n;
    const without = await recorded(async () => {
      const transitions = [{ ...subject, event: RELEASED }];
      await store.client.recordTransitions({
        schedulerToken: 1n,
        requests: [{ requestId, transitions }],
      });
      await store.client.recordReports({ reports: [{ ...subject, event: SUCCEEDED }] });
    });
    assert.ok(without.length > 3);
    assert.deepEqual(
      without.filter((sql) => sql.includes("host_component")),
      [],
    );
  });

  it("should write what a large request wants before the commit that makes it ready, a piece at a time", async () => {
    const { store, clusterId, host } = fixture;
    const { database } = fixture;
    await execute(database.db, "update host_component set desired_state = 'INSTALLED'");
    const hosts = ["h1", "h2"].map((name) => host(name).hostId);
    const sent: string[] = [];
    const listen = ({ sql }: { sql: string }) => sent.push(sql.replace(/\s+/g, " "));
    store.db.on("query", listen);
    const stages = [[{ role: "DATANODE", hosts, roleCommand: START }]];
    await createSample(store, { stages, header: { clusterId }, chunk: 1 });
    store.db.removeListener("query", listen);
    for (const name of ["h1", "h2"]) {
      assert.equal((await states("DATANODE", name))[0], "STARTED", name);
    }
    const wanted = sent.flatMap((sql, at) => (sql.includes("hc.desired_state") ? [at] : []));
    const ready = sent.findIndex((sql) => /update request set .*ready = 1/.test(sql));
    assert.equal(wanted.length, 2, sent.join("\n"));
    assert.ok((wanted[0] ?? ready) < ready && ready < (wanted[1] ?? 0), sent.join("\n"));
  });
});
