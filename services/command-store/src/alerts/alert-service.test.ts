import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import { type Alert, AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";
import { query } from "../database/query.js";
import { fromStoredState } from "../store/alert-states.js";
import { type AlertFixture, openAlertFixture, scriptAlert } from "../testing/alert-fixture.js";
import { rejects } from "../testing/rejects.js";

const { OK, WARNING, CRITICAL, UNKNOWN, SKIPPED } = AlertState;
const hosts = ["h1", "h2", "h3"] as const;

describe("AlertService", () => {
  let fixture: AlertFixture;
  before(async () => {
    fixture = await openAlertFixture([
      ...["a", "b", "c", "d"].map((name) => scriptAlert(name, { label: `The ${name}` })),
      scriptAlert("host", { serviceName: "AMBARI", componentName: "AMBARI_AGENT" }),
      scriptAlert("one", { ignoreHost: true }),
      scriptAlert("name", { componentName: "NAMENODE" }),
    ]);
    const states: Record<string, AlertState[]> = {
      a: [OK, OK, CRITICAL],
      b: [WARNING, OK, OK],
      c: [UNKNOWN, CRITICAL, OK],
      host: [OK, OK, WARNING],
    };
    for (const [i, host] of hosts.entries()) {
      const found = Object.entries(states).map(([name, each]) => ({
        ...{ name, state: each[i] ?? OK, text: `${name} of ${host}`, ageMs: 1_000n },
      }));
      await fixture.record(host, found);
    }
    await fixture.record("h1", [
      { name: "one", state: CRITICAL, text: "one" },
      { name: "name", state: OK },
    ]);
  });
  after(() => fixture?.close());

  const list = (over: object = {}) => fixture.alerts.listAlerts({ cluster: "prod", ...over });
  const shown = (alerts: readonly Alert[]) =>
    alerts.map(({ name, hostName, state }) => `${AlertState[state]} ${name} ${hostName}`.trim());
  const worst = [
    ...["CRITICAL a h3", "CRITICAL c h2", "CRITICAL one"],
    ...["WARNING b h1", "WARNING host h3", "UNKNOWN c h1"],
  ];
  const well = ["a h1", "a h2", "b h2", "b h3", "c h3", "host h1", "host h2", "name h1"];

  it("should list what is worst first, then by name and host", async () => {
    const { alerts, nextPageToken } = await list();
    assert.deepEqual(shown(alerts), [...worst, ...well.map((each) => `OK ${each}`)]);
    assert.equal(nextPageToken, "");
    const [first] = alerts;
    assert.deepEqual(
      [first?.label, first?.serviceName, first?.componentName, first?.text, first?.occurrences],
      ["The a", "HDFS", "DATANODE", "a of h3", 1],
    );
    assert.ok(first?.since && Date.now() - timestampMs(first.since) >= 1_000);
    const { alerts: only } = await list({ cluster: "" });
    assert.equal(only.length, alerts.length);
  });

  it("should read it in pages of any size", async () => {
    for (const pageSize of [1, 4, 6, 14]) {
      const found: string[] = [];
      let pageToken = "";
      do {
        const page = await list({ pageSize, pageToken });
        assert.ok(page.alerts.length <= pageSize);
        assert.equal(page.counts.length > 0, pageToken === "", "counted with the first page");
        found.push(...shown(page.alerts));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      assert.deepEqual(found, [...worst, ...well.map((each) => `OK ${each}`)]);
    }
  });

  it("should narrow it to states, a name, a service and a host", async () => {
    const narrowed = async (over: object) => shown((await list(over)).alerts);
    assert.deepEqual(await narrowed({ states: [CRITICAL, UNKNOWN] }), [
      ...["CRITICAL a h3", "CRITICAL c h2", "CRITICAL one", "UNKNOWN c h1"],
    ]);
    assert.deepEqual(await narrowed({ name: "a" }), ["CRITICAL a h3", "OK a h1", "OK a h2"]);
    assert.deepEqual(await narrowed({ serviceName: "AMBARI" }), [
      ...["WARNING host h3", "OK host h1", "OK host h2"],
    ]);
    assert.deepEqual(await narrowed({ hostName: "H3", states: [WARNING, CRITICAL] }), [
      ...["CRITICAL a h3", "WARNING host h3"],
    ]);
    assert.deepEqual(await narrowed({ hostName: "h2", name: "c" }), ["CRITICAL c h2"]);
    assert.deepEqual(await narrowed({ hostName: "h2", serviceName: "AMBARI" }), ["OK host h2"]);
    assert.deepEqual(await narrowed({ name: "no" }), []);
    assert.deepEqual(await narrowed({ hostName: "h99" }), []);
    for (const over of [{ name: "a" }, { serviceName: "HDFS" }, { hostName: "h1" }]) {
      const { alerts } = await list(over);
      const first = await list({ ...over, pageSize: 2 });
      const rest = await list({ ...over, pageToken: first.nextPageToken });
      assert.deepEqual(shown([...first.alerts, ...rest.alerts]), shown(alerts));
    }
  });

  it("should count them, what is in maintenance apart, and say what is", async () => {
    const { fleet } = fixture;
    const counted = async (over: object = {}) =>
      (await list(over)).counts
        .map(({ state, count, inMaintenance }) => `${AlertState[state]} ${count}+${inMaintenance}`)
        .join(", ");
    const reasons = async () =>
      (await list()).alerts.flatMap(({ name, hostName, maintenance }) =>
        maintenance === undefined ? [] : `${name} ${hostName} ${maintenance.reason}`,
      );
    assert.equal(await counted(), "CRITICAL 3+0, WARNING 2+0, UNKNOWN 1+0, OK 8+0");
    assert.equal(await counted({ states: [OK], pageSize: 1 }), await counted());
    assert.equal(await counted({ name: "c" }), "CRITICAL 1+0, WARNING 0+0, UNKNOWN 1+0, OK 1+0");
    const maintain = (what: object, reason: string) =>
      fleet.setMaintenance({ ...what, reason, on: reason !== "" });
    const host = { hosts: { names: ["h3"] } };
    const component = { cluster: "prod", components: ["NAMENODE"] };
    const service = { cluster: "prod", service: "HDFS" };
    await maintain(host, "disk");
    await maintain(component, "move");
    assert.equal(await counted(), "CRITICAL 2+1, WARNING 1+1, UNKNOWN 1+0, OK 5+3");
    assert.deepEqual(await reasons(), [
      ...["a h3 disk", "host h3 disk", "b h3 disk", "c h3 disk", "name h1 move"],
    ]);
    await maintain(service, "all");
    assert.equal(await counted(), "CRITICAL 0+3, WARNING 0+2, UNKNOWN 0+1, OK 2+6");
    assert.ok((await reasons()).includes("one  all"));
    assert.ok((await reasons()).includes("a h3 disk"));
    for (const each of [host, component, service]) await maintain(each, "");
    assert.deepEqual(await reasons(), []);
  });

  it("should list changes, newest first, in pages", async () => {
    const { alerts, record } = fixture;
    await record("h1", [{ name: "a", state: WARNING, text: "worse" }]);
    const history = (over: object) => alerts.listAlertHistory({ cluster: "prod", ...over });
    const { changes } = await history({});
    assert.equal(changes.length, 15);
    assert.deepEqual(
      [changes[0]?.name, changes[0]?.hostName, changes[0]?.text],
      ["a", "h1", "worse"],
    );
    const found: string[] = [];
    let pageToken = "";
    do {
      const page = await history({ name: "a", pageSize: 1, pageToken });
      found.push(...page.changes.map(({ hostName, state }) => `${hostName} ${AlertState[state]}`));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(found, ["h1 WARNING", "h3 CRITICAL", "h2 OK", "h1 OK"]);
    const ofHost = await history({ hostName: "H1", name: "a" });
    assert.deepEqual(
      ofHost.changes.map(({ text }) => text),
      ["worse", "a of h1"],
    );
    assert.equal((await history({ hostName: "h2" })).changes.length, 4);
  });

  it("should number in the tables as it is read from there", async () => {
    const rows = await query<{ column: string; type: string }>(
      fixture.database.db,
      `select column_name as "column", column_type as type from information_schema.columns
      where table_schema = database() and table_name in ('alert_definition', 'alert_current')`,
    );
    const values = (column: string) => {
      const type = rows.find((row) => row.column === column)?.type ?? "";
      return Array.from(type.matchAll(/'([A-Z]+)'/g), ([, name]) => name ?? "");
    };
    const types = values("source_type");
    assert.equal(types.length, 8);
    for (const [i, name] of types.entries()) assert.equal(AlertSourceType[i + 1], name);
    const states = values("alert_state");
    assert.equal(states.length, 4);
    for (const [i, name] of states.entries())
      assert.equal(AlertState[fromStoredState(i + 1)], name);
    const firmness = values("firmness");
    assert.deepEqual(firmness, [AlertFirmness[1], AlertFirmness[2]]);
  });

  it("should say what is wrong with a request", async () => {
    const refused = (over: object, message: RegExp) =>
      rejects(list(over), Code.InvalidArgument, message);
    await refused({ pageSize: -1 }, /^page_size -1 must be from 1 to 1000/);
    await refused({ pageSize: 1_001 }, /^page_size 1001 must be/);
    await refused({ pageToken: "!" }, /^page_token "!" is none of this method/);
    await refused({ states: [SKIPPED] }, /^states "SKIPPED" is no state of an alert/);
    await rejects(list({ cluster: "x" }), Code.NotFound, /no cluster x; there are prod/);
    const history = { cluster: "prod", pageToken: "x" };
    await rejects(
      fixture.alerts.listAlertHistory(history),
      Code.InvalidArgument,
      /^page_token "x" is none/,
    );
  });
});
