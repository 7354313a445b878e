import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { execute } from "../database/query.js";
import { type ComponentFixture, openComponentFixture } from "../testing/component-fixture.js";

const { INSTALLED, STARTED, STARTING, STOPPING, INSTALL_FAILED, DISABLED } = ComponentState;
const { RELEASED, SUCCEEDED, FAILED, STARTED: BEGAN } = TaskEvent;

describe("auto start", () => {
  let fixture: ComponentFixture;
  before(async () => {
    fixture = await openComponentFixture();
  });
  afterEach(async () => {
    const { database, apply, pushStack } = fixture;
    await execute(database.db, "delete from maintenance where since >= 0");
    await execute(
      database.db,
      "update host_component set current_state = 'INIT', desired_state = 'INIT', desired_request_id = 0",
    );
    await apply({});
    await pushStack({ clients: [] });
  });
  after(() => fixture?.close());

  /** What hosts are told of a component: its state, `busy` while a request works on it, `-` when it is left alone; `no` without auto start. */
  const told = async (component = "DATANODE") => {
    const { components } = await fixture.store.client.listStatusChecks({});
    const names = new Map(["h1", "h2"].map((name) => [fixture.host(name).hostId, name]));
    return components
      .filter((each) => each.componentName === component)
      .flatMap(({ recoveryEnabled, desiredState, desiredRequestId, hostIds }) => {
        const worked = desiredState === ComponentState.UNSPECIFIED;
        const state = worked
          ? desiredRequestId > 0n
            ? "busy"
            : "-"
          : ComponentState[desiredState];
        return hostIds.map((id) => `${names.get(id)} ${recoveryEnabled ? state : "no"}`);
      })
      .sort();
  };

  /** Has the component started on a host, by a request that is over. */
  const started = async (name: string, component = "DATANODE") => {
    await fixture.set(component, name, INSTALLED);
    const task = await fixture.request(component, name, RoleCommand.START);
    await task.transit(RELEASED);
    await task.report(BEGAN);
    await task.report(SUCCEEDED);
    return task.requestId;
  };

  it("should be as the stack says, unless the cluster says otherwise", async () => {
    const { pushStack, apply, fleet } = fixture;
    await started("h1");
    await started("h2");
    assert.deepEqual(await told(), ["h1 no", "h2 no"]);
    await pushStack({ clients: [], autoStarted: ["DATANODE"] });
    assert.deepEqual(await told(), ["h1 STARTED", "h2 STARTED"]);

    const services = (await fleet.getCluster({ name: "prod" })).cluster?.services ?? [];
    const datanode = services
      .flatMap(({ components }) => components)
      .find(({ name }) => name === "DATANODE");
    assert.ok(datanode);
    assert.equal(datanode.autoStart, undefined);
    for (const [autoStart, sentence, then] of [
      [false, "auto start of DATANODE: off", "no"],
      [true, "auto start of DATANODE: on", "STARTED"],
      [undefined, "auto start of DATANODE: as the stack says", "STARTED"],
    ] as const) {
      if (autoStart === undefined) delete datanode.autoStart;
      else datanode.autoStart = autoStart;
      const wish = { name: "prod", stack: "SAMPLE/1.0", services };
      const answer = await fleet.applyCluster(wish);
      assert.deepEqual(answer.changes, [sentence]);
      assert.deepEqual((await fleet.applyCluster(wish)).changes, []);
      assert.deepEqual(await told(), [`h1 ${then}`, `h2 ${then}`]);
      const again = answer.cluster?.services.flatMap(({ components }) => components);
      assert.equal(again?.find(({ name }) => name === "DATANODE")?.autoStart, autoStart);
    }
    datanode.autoStart = true;
    await apply({ services });
    await pushStack({ clients: [] });
    assert.deepEqual(await told(), ["h1 STARTED", "h2 STARTED"], "the cluster's word counts");
    await pushStack({ clients: ["DATANODE"] });
    assert.deepEqual(await told(), [], "a client is never started");
  });

  it("should be listed where both the cluster and the component have it on", async () => {
    const { pushStack, apply, fleet } = fixture;
    const listed = async () => {
      const { hostComponents } = await fleet.listHostComponents({});
      const on = hostComponents.filter(({ autoStart }) => autoStart);
      return on.map(({ componentName, hostName }) => `${componentName} on ${hostName}`);
    };
    const environment = (properties: Record<string, string>) =>
      apply({ configurations: { "cluster-env": { properties } } });
    await pushStack({ clients: [], autoStarted: ["DATANODE"] });
    assert.deepEqual(await listed(), []);
    await environment({ recovery_enabled: "false" });
    assert.deepEqual(await listed(), []);
    await environment({ recovery_enabled: " True" });
    assert.deepEqual(await listed(), ["DATANODE on h1", "DATANODE on h2"]);
    await pushStack({ clients: [] });
    assert.deepEqual(await listed(), []);
    await pushStack({ clients: [], autoStarted: ["DATANODE"] });
    await apply({});
    assert.deepEqual(await listed(), [], "the type is gone from the cluster");
  });

  it("should not be for what is in maintenance: component, service or host", async () => {
    const { pushStack, fleet } = fixture;
    await pushStack({ clients: [], autoStarted: ["DATANODE"] });
    await started("h1");
    await started("h2");
    const on = { on: true, reason: "test" };
    const both = ["h1 STARTED", "h2 STARTED"];
    const one = ["h1 STARTED", "h2 -"];
    for (const [what, then] of [
      [{ components: ["DATANODE"], hosts: { names: ["h2"] } }, one],
      [{ hosts: { names: ["h2"] } }, one],
      [{ service: "HDFS" }, ["h1 -", "h2 -"]],
      [{ service: "ZOOKEEPER" }, both],
    ] as const) {
      const selected = structuredClone(what) as object;
      await fleet.setMaintenance({ ...selected, ...on });
      assert.deepEqual(await told(), then, JSON.stringify(what));
      await fleet.setMaintenance(selected);
      assert.deepEqual(await told(), both);
    }
  });

  it("should wait while a request that is not over has something to do to the component", async () => {
    const { pushStack, request, set } = fixture;
    await pushStack({ clients: [], autoStarted: ["DATANODE", "NAMENODE"] });
    const first = await started("h1");
    await started("h2");
    const stop = await request("DATANODE", "h1", RoleCommand.STOP);
    assert.ok(stop.requestId > first);
    assert.deepEqual(await told(), ["h1 busy", "h2 STARTED"], "PENDING");
    await stop.transit(RELEASED);
    assert.deepEqual(await told(), ["h1 busy", "h2 STARTED"], "QUEUED");
    await stop.report(BEGAN);
    assert.deepEqual(await told(), ["h1 busy", "h2 STARTED"], "IN_PROGRESS, and still named");
    await stop.report(SUCCEEDED);
    assert.deepEqual(await told(), ["h1 INSTALLED", "h2 STARTED"]);
    const { components } = await fixture.store.client.listStatusChecks({});
    const wanted = components.find(({ desiredState }) => desiredState === INSTALLED);
    assert.equal(wanted?.desiredRequestId, stop.requestId);

    await set("NAMENODE", "h1", INSTALLED);
    const start = await request("NAMENODE", "h1", RoleCommand.START);
    await start.transit(RELEASED);
    await start.report(BEGAN);
    await start.report(FAILED);
    assert.deepEqual(await told("NAMENODE"), ["h1 STARTED"], "what failed to start is started");
  });

  it("should go by a request that is run again, whatever was asked for since", async () => {
    const { pushStack, set, request } = fixture;
    await pushStack({ clients: [], autoStarted: ["DATANODE"] });
    await set("DATANODE", "h1", INSTALLED);
    const start = await request("DATANODE", "h1", RoleCommand.START);
    await start.transit(RELEASED);
    await start.report(FAILED);
    const stop = await request("DATANODE", "h1", RoleCommand.STOP);
    await stop.transit(RELEASED);
    await stop.report(SUCCEEDED);
    assert.deepEqual(await told(), ["h1 INSTALLED"]);
    await start.transit(TaskEvent.RETRIED);
    assert.deepEqual(await told(), ["h1 busy"]);
    await start.transit(RELEASED, 2);
    await start.report(SUCCEEDED, 2);
    assert.deepEqual(await told(), ["h1 STARTED"]);
    const { components } = await fixture.store.client.listStatusChecks({});
    assert.equal(components[0]?.desiredRequestId, start.requestId);
  });

  it("should name what its agent has in its hands, and what failed to be installed", async () => {
    const { pushStack, set, say, stateOf, database } = fixture;
    for (const state of [STARTING, STOPPING, INSTALL_FAILED]) {
      await set("DATANODE", "h1", state);
      assert.deepEqual(await told(), [], ComponentState[state]);
      await pushStack({ clients: [], autoStarted: ["DATANODE"] });
      assert.deepEqual(await told(), ["h1 -"], ComponentState[state]);
      await pushStack({ clients: [] });
    }
    assert.equal(await say("DATANODE", "h1", STARTED), 0);
    await pushStack({ clients: [], autoStarted: ["DATANODE"] });
    assert.equal(await say("DATANODE", "h1", INSTALLED), 0);
    assert.equal(await say("DATANODE", "h1", STARTED), 1);
    assert.equal(await stateOf("DATANODE", "h1"), STARTED);
    await execute(database.db, "update host_component set desired_state = ?", [DISABLED]);
    assert.deepEqual(await told(), ["h1 -"], "DISABLED");
  });
});
