import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { type AlertDefinition, AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import { execute, query } from "../database/query.js";
import { type AlertFixture, openAlertFixture, scriptAlert } from "../testing/alert-fixture.js";
import { rejects } from "../testing/rejects.js";

const { OK, WARNING, CRITICAL, UNKNOWN } = AlertState;

function share(name: string, child: string): AlertDefinition {
  const text = "{1} of {0}";
  return scriptAlert(name, {
    componentName: "",
    sourceType: AlertSourceType.AGGREGATE,
    sourceJson: JSON.stringify({
      ...{ type: "AGGREGATE", alert_name: child },
      reporting: {
        type: "PERCENT",
        ok: { text },
        warning: { text, value: 30 },
        critical: { text, value: 60 },
      },
    }),
  });
}

function server(name: string, className: string, parameters: object[] = []): AlertDefinition {
  return scriptAlert(name, {
    ...{ serviceName: "AMBARI", componentName: "AMBARI_SERVER", intervalMinutes: 5 },
    sourceType: AlertSourceType.SERVER,
    sourceJson: JSON.stringify({
      ...{ type: "SERVER", class: `org.apache.ambari.server.alerts.${className}`, parameters },
    }),
  });
}

describe("evaluateServerAlerts", () => {
  let fixture: AlertFixture;
  let token = 1n;
  before(async () => {
    fixture = await openAlertFixture([
      ...[scriptAlert("disk"), share("disks", "disk"), share("none", "no such")],
      ...[scriptAlert("patient", { repeatTolerance: 2 }), share("patients", "patient")],
      server("heartbeat", "AgentHeartbeatAlertRunnable"),
      server("staleness", "StaleAlertRunnable", [{ name: "stale.interval.multiplier", value: 3 }]),
      server("speed", "AmbariPerformanceRunnable"),
      server("slow", "AmbariPerformanceRunnable", [
        { name: "rest.api.cluster.warning.threshold", value: "0" },
      ]),
      server("versions", "ComponentVersionAlertRunnable"),
    ]);
  });
  after(() => fixture?.close());

  const evaluate = async (...definitionIds: bigint[]) =>
    (await fixture.store.client.evaluateServerAlerts({ schedulerToken: token, definitionIds }))
      .results;
  const shown = async (name: string, host?: string) => {
    const found = await fixture.current(name, host);
    return found && `${AlertState[found.state]} ${found.text}`;
  };
  /** As if every SERVER alert's interval had passed. */
  const passTime = () =>
    execute(
      fixture.database.db,
      "update alert_definition set due_at = 1 where source_type = 'SERVER'",
    );

  it("should find everything out when a cluster is new, and then nothing", async () => {
    assert.equal((await evaluate()).length, 8);
    assert.equal(await shown("disks"), "UNKNOWN There are no alerts of disk");
    assert.equal(
      await shown("none"),
      "UNKNOWN There is no alert definition no such in the cluster that is enabled",
    );
    // Its own changes are looked at once more.
    await evaluate();
    assert.deepEqual(await evaluate(), []);
  });

  it("should count again when a child changes, and only then", async () => {
    const { record } = fixture;
    for (const host of ["h1", "h2", "h3"]) await record(host, [{ name: "disk", state: OK }]);
    assert.equal((await evaluate()).length, 1);
    assert.equal(await shown("disks"), "OK 0 of 3");
    await record("h1", [{ name: "disk", state: OK, text: "the same state" }]);
    assert.equal((await evaluate()).length, 0);
    await record("h1", [{ name: "disk", state: WARNING }]);
    await evaluate();
    assert.equal(await shown("disks"), "WARNING 1 of 3");
    await record("h2", [{ name: "disk", state: CRITICAL }]);
    await evaluate();
    assert.equal(await shown("disks"), "CRITICAL 2 of 3");
    await record("h3", [{ name: "disk", state: UNKNOWN }]);
    await evaluate();
    assert.equal(await shown("disks"), "UNKNOWN 1 of 3 alerts of disk are UNKNOWN");
    await record("h3", [{ name: "disk", state: OK }]);
    await evaluate();
    assert.equal((await fixture.current("disks"))?.hostName, "");
  });

  it("should count what is in maintenance as OK", async () => {
    const { fleet } = fixture;
    const maintain = async (what: object, on: boolean) => {
      await fleet.setMaintenance({ ...what, on });
      await evaluate();
      return shown("disks");
    };
    const host = { hosts: { names: ["h1"] } };
    const component = { cluster: "prod", components: ["DATANODE"], hosts: { names: ["h2"] } };
    const service = { cluster: "prod", service: "HDFS" };
    assert.equal(await maintain(host, true), "WARNING 1 of 3");
    assert.equal(await maintain(component, true), "OK 0 of 3");
    assert.equal(await maintain(host, false), "WARNING 1 of 3");
    assert.equal(await maintain(component, false), "CRITICAL 2 of 3");
    assert.equal(await maintain(service, true), "OK 0 of 3");
    assert.equal(await maintain(service, false), "CRITICAL 2 of 3");
  });

  it("should count what is not sure yet as OK", async () => {
    const { record } = fixture;
    for (const state of [OK, CRITICAL]) await record("h1", [{ name: "patient", state }]);
    await evaluate();
    assert.equal(await shown("patients"), "OK 0 of 1");
    await record("h1", [{ name: "patient", state: CRITICAL }]);
    await evaluate();
    assert.equal(await shown("patients"), "CRITICAL 1 of 1");
  });

  it("should count again when a child is gone, or the aggregate edited", async () => {
    const { alerts, record } = fixture;
    const { definitions } = await alerts.listAlertDefinitions({ cluster: "prod", name: "disks" });
    const source = JSON.parse(definitions[0]?.sourceJson ?? "") as {
      reporting: { critical: { value: number } };
    };
    source.reporting.critical.value = 90;
    const edited = { cluster: "prod", name: "disks", sourceJson: JSON.stringify(source) };
    await alerts.updateAlertDefinition(edited);
    await evaluate();
    assert.equal(await shown("disks"), "WARNING 2 of 3");
    await alerts.updateAlertDefinition({ cluster: "prod", name: "disk", enabled: false });
    await evaluate();
    assert.match((await shown("disks")) ?? "", /^UNKNOWN There is no alert definition disk/);
    await alerts.updateAlertDefinition({ cluster: "prod", name: "disk", enabled: true });
    await record("h1", [{ name: "disk", state: OK }]);
    await evaluate();
    assert.equal(await shown("disks"), "OK 0 of 1");
    assert.equal((await fixture.current("disks"))?.occurrences, 1);
  });

  it("should say which hosts are lost", async () => {
    const { database, idOf } = fixture;
    assert.equal(await shown("heartbeat", "h2"), "OK Its agent is heard from");
    const lose = (state: string) =>
      execute(
        database.db,
        "update host set state = ?, lost_at = 1700000000000 where host_name = 'h2'",
        [state],
      );
    await lose("HEARTBEAT_LOST");
    assert.deepEqual(await evaluate(), [], "not due yet");
    await passTime();
    const id = await idOf("heartbeat");
    const found = (await evaluate()).find(({ definitionId }) => definitionId === id);
    assert.deepEqual([found?.state, found?.text], [CRITICAL, "1 of 3 hosts are lost: h2"]);
    assert.equal(
      await shown("heartbeat", "h2"),
      "CRITICAL Nothing is heard from its agent since 2023-11-14T22:13:20.000Z",
    );
    assert.equal(
      (await fixture.current("heartbeat", "h1"))?.occurrences,
      1,
      "no write for nothing",
    );
    await lose("HEALTHY");
    const [now] = await evaluate(id);
    assert.deepEqual([now?.state, now?.text], [OK, "All 3 agents are heard from"]);
    assert.equal(await shown("heartbeat", "h2"), "OK Its agent is heard from");
  });

  it("should say which alerts hosts have not checked for long", async () => {
    const { record, idOf, database, fleet } = fixture;
    const look = async () => {
      const [found] = await evaluate(await idOf("staleness"));
      return found && `${AlertState[found.state]} ${found.text}`;
    };
    await record("h1", [], ["disk", "patient"]);
    await record("h2", [], ["disk"]);
    assert.equal(await look(), "OK All alerts are checked in time", "three times, says the alert");
    await execute(database.db, "update alert_stale set since = since - 60000");
    assert.equal(
      await look(),
      "CRITICAL 3 alerts of 2 hosts have not been checked for 3 times their interval: disk on h1, h2; patient on h1",
    );
    await fleet.setMaintenance({ hosts: { names: ["h1"] }, on: true });
    assert.match((await look()) ?? "", /: disk on h2$/);
    await fleet.setMaintenance({ hosts: { names: ["h1"] }, on: false });
    await record("h1", []);
    await record("h2", []);
    assert.equal(await look(), "OK All alerts are checked in time");
  });

  it("should measure how long answers take", async () => {
    const text =
      /^listing requests took \d+ ms, counting their tasks took \d+ ms, reading the cluster took \d+ ms$/;
    const speed = await fixture.current("speed");
    assert.match(speed?.text ?? "", text);
    assert.equal((await fixture.current("slow"))?.state, WARNING);
  });

  it("should say what it has no alert for", async () => {
    assert.equal(
      await shown("versions"),
      "UNKNOWN Howdah has no alert of class org.apache.ambari.server.alerts.ComponentVersionAlertRunnable",
    );
  });

  it("should find out again after its interval, also when the clock was set back", async () => {
    const { database } = fixture;
    const dueAt = async () => {
      const [row] = await query<{ dueAt: number }>(
        database.db,
        "select due_at as dueAt from alert_definition where name = 'speed'",
      );
      return row?.dueAt ?? 0;
    };
    await evaluate();
    const next = await dueAt();
    assert.ok(next > Date.now() && next <= Date.now() + 300_000);
    await execute(database.db, "update alert_definition set due_at = ? where name = 'speed'", [
      Date.now() + 86_400_000,
    ]);
    assert.equal((await evaluate()).length, 1);
    assert.ok((await dueAt()) <= Date.now() + 300_000);
  });

  it("should count once when two calls are at it", async () => {
    const { record, database } = fixture;
    await record("h2", [{ name: "disk", state: CRITICAL }]);
    await passTime();
    await Promise.all([evaluate(), evaluate(), evaluate()]);
    const rows = await query(
      database.db,
      "select * from alert_history where name = 'disks' and alert_text = '1 of 2'",
    );
    assert.equal(rows.length, 1);
  });

  it("should tell the versions of all clusters, as the alert targets have them", async () => {
    const { client } = fixture.store;
    const { clusterVersions } = await client.evaluateServerAlerts({ schedulerToken: token });
    assert.equal(Object.keys(clusterVersions).length, 1);
    const { changed } = await client.listAlertTargets({ knownVersions: clusterVersions });
    assert.deepEqual(changed, []);
  });

  it("should refuse a scheduler that has lost its lease", async () => {
    const { store, record } = fixture;
    const take = (holder: string) =>
      store.client.acquireLease({ name: "scheduler", holder, durationMs: 1_000n, address: "" });
    const { lease } = await take("a/1");
    await store.client.releaseLease({ name: "scheduler", token: lease?.token ?? 0n });
    token = (await take("b/1")).lease?.token ?? 0n;
    assert.ok(token > 1n);
    await record("h2", [{ name: "disk", state: OK }]);
    const old = { schedulerToken: token - 1n, definitionIds: [] };
    await rejects(
      store.client.evaluateServerAlerts(old),
      Code.FailedPrecondition,
      /lease \d+ is over/,
    );
    assert.equal((await evaluate()).length, 1);
    assert.equal(await shown("disks"), "OK 0 of 2");
    await evaluate();
    // Also when there is nothing to do.
    await rejects(store.client.evaluateServerAlerts(old), Code.FailedPrecondition, /is over/);
    const missing = { schedulerToken: 0n, definitionIds: [] };
    await rejects(
      store.client.evaluateServerAlerts(missing),
      Code.InvalidArgument,
      /^scheduler_token 0/,
    );
  });
});
