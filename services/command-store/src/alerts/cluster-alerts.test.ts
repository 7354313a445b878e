import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fromJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  type AlertDefinition,
  AlertDefinitionsSchema,
  AlertSourceType,
  AlertState,
} from "@howdah/proto/howdah/v1/alert";
import type { AlertTargets } from "@howdah/proto/howdah/v1/store_alerts";
import { execute, query } from "../database/query.js";
import { type AlertFixture, openAlertFixture, scriptAlert } from "../testing/alert-fixture.js";
import { rejects } from "../testing/rejects.js";

const { OK, CRITICAL } = AlertState;

const aggregate = scriptAlert("share", {
  componentName: "",
  sourceType: AlertSourceType.AGGREGATE,
  sourceJson: JSON.stringify({ type: "AGGREGATE", alert_name: "disk" }),
});
const disk = (over = {}) => scriptAlert("disk", { description: "of the stack", ...over });
const port = scriptAlert("port", {
  componentName: "NAMENODE",
  sourceType: AlertSourceType.PORT,
  sourceJson: JSON.stringify({ type: "PORT", default_port: 8020 }),
});
const zookeeper = scriptAlert("quorum", {
  serviceName: "ZOOKEEPER",
  componentName: "ZOOKEEPER_SERVER",
});
const ulimit = scriptAlert("ulimit", { serviceName: "AMBARI", componentName: "AMBARI_AGENT" });
const all = [disk(), port, aggregate, zookeeper, ulimit];

describe("a cluster's alerts", () => {
  let fixture: AlertFixture;
  before(async () => {
    fixture = await openAlertFixture(all);
  });
  after(() => fixture?.close());

  const targets = async (known: Record<string, bigint> = {}) =>
    fixture.store.client.listAlertTargets({ knownVersions: known });
  const target = async (): Promise<AlertTargets> => {
    const [only] = (await targets()).changed;
    assert.ok(only?.alerts);
    return only;
  };
  const document = async (): Promise<AlertDefinition[]> => {
    const digest = (await target()).alerts?.definitionsDigest ?? "";
    const parts: Uint8Array[] = [];
    for await (const { data } of fixture.stacks.readPackage({ digest })) parts.push(data);
    return fromJsonString(AlertDefinitionsSchema, Buffer.concat(parts).toString()).definitions;
  };
  const names = (definitions: readonly AlertDefinition[]) => definitions.map(({ name }) => name);
  const definition = async (name: string) => {
    const { definitions } = await fixture.alerts.listAlertDefinitions({ cluster: "prod", name });
    return definitions[0];
  };
  const edit = async (over: object) =>
    (await fixture.alerts.updateAlertDefinition({ cluster: "prod", name: "disk", ...over }))
      .definition;

  it("should be those of its services and of its hosts, agents' in a document", async () => {
    const { definitions } = await fixture.alerts.listAlertDefinitions({ cluster: "prod" });
    assert.deepEqual(names(definitions), ["disk", "port", "share", "ulimit"]);
    assert.deepEqual(names(await document()), ["disk", "port", "ulimit"]);
    const [only] = (await targets()).changed;
    assert.deepEqual(only?.alerts?.masterComponents, ["NAMENODE", "SECONDARY_NAMENODE"]);
    assert.equal(only?.hostIds.length, 3);
    assert.match(only?.alerts?.topologyDigest ?? "", /^[0-9a-f]{64}$/);
    const { definitions: hdfs } = await fixture.alerts.listAlertDefinitions({
      cluster: "prod",
      serviceName: "AMBARI",
    });
    assert.deepEqual(names(hdfs), ["ulimit"]);
  });

  it("should be told to who does not know them, and only then", async () => {
    const { version } = await target();
    const id = `${fixture.clusterId}`;
    const same = await targets({ [id]: version });
    assert.deepEqual([same.changed.length, same.clusterIds], [0, [fixture.clusterId]]);
    await edit({ intervalMinutes: 7 });
    const after = await targets({ [id]: version });
    assert.equal(after.changed.length, 1);
    assert.ok((after.changed[0]?.version ?? 0n) > version);
  });

  it("should keep what operators edited through a new stack and a new cluster", async () => {
    const before = await definition("disk");
    const source = JSON.stringify({ type: "SCRIPT", path: "a.py", parameters: [] });
    const edited = await edit({ repeatTolerance: 4, sourceJson: source });
    assert.notEqual(edited?.uuid, before?.uuid);
    await fixture.push([
      disk({ description: "newer", intervalMinutes: 30, repeatTolerance: 9 }),
      ...all.slice(1),
    ]);
    await fixture.apply({
      configurations: { "cluster-env": { properties: { minimum_free_mb: "1" } } },
    });
    const now = await definition("disk");
    assert.deepEqual(
      [now?.description, now?.intervalMinutes, now?.repeatTolerance, now?.sourceJson],
      ["newer", 7, 4, source],
    );
    assert.equal(now?.definitionId, before?.definitionId);
    assert.notEqual(now?.uuid, edited?.uuid);
    assert.equal((await edit({ repeatTolerance: 0 }))?.repeatTolerance, undefined);
  });

  it("should not follow an edited source when the stack's check is another one", async () => {
    await edit({ sourceJson: JSON.stringify({ type: "SCRIPT", path: "edited.py" }) });
    const web = { sourceType: AlertSourceType.WEB, sourceJson: '{"type":"WEB","uri":"x"}' };
    await fixture.push([disk(web), ...all.slice(1)]);
    assert.equal((await definition("disk"))?.sourceJson, web.sourceJson);
    await fixture.push(all);
    assert.equal((await definition("disk"))?.sourceJson, disk().sourceJson);
  });

  it("should change nothing when nothing is to be changed", async () => {
    const before = await target();
    const { uuid, intervalMinutes } = (await definition("disk")) ?? {};
    assert.ok(intervalMinutes);
    assert.equal((await edit({ intervalMinutes }))?.uuid, uuid);
    await fixture.push(all);
    await fixture.apply();
    await fixture.apply();
    const { version } = await target();
    await fixture.apply();
    await fixture.push(all);
    const after = await target();
    assert.equal(after.version, version);
    assert.equal(after.alerts?.definitionsDigest, before.alerts?.definitionsDigest);
  });

  it("should be gone with what they watch", async () => {
    const { record, apply, alerts, database } = fixture;
    const left = async () => {
      const { alerts: found } = await alerts.listAlerts({ cluster: "prod" });
      return found.map(({ name, hostName }) => `${name} ${hostName}`);
    };
    for (const host of ["h1", "h2", "h3"]) {
      const found = ["disk", "ulimit", ...(host === "h1" ? ["port"] : [])];
      const results = found.map((name) => ({ name, state: OK }));
      assert.equal(await record(host, results, ["disk"]), found.length);
    }
    const everywhere = await left();
    assert.deepEqual(everywhere, [
      ...["disk h1", "disk h2", "disk h3", "port h1", "ulimit h1", "ulimit h2", "ulimit h3"],
    ]);
    const hdfs = (dataNodes: string[]) => ({
      name: "HDFS",
      components: [
        { name: "NAMENODE", hostNames: ["h1"] },
        { name: "SECONDARY_NAMENODE", hostNames: ["h2"] },
        { name: "DATANODE", hostNames: dataNodes },
      ],
    });
    await apply({ services: [hdfs(["h1"])] });
    // h2 is still a host of the cluster, h3 is not.
    assert.deepEqual(await left(), ["disk h1", "port h1", "ulimit h1", "ulimit h2"]);
    const stale = await query(database.db, "select * from alert_stale");
    assert.equal(stale.length, 1);
    const quorum = {
      name: "ZOOKEEPER",
      components: [{ name: "ZOOKEEPER_SERVER", hostNames: ["h1"] }],
    };
    await apply({ services: [quorum] });
    assert.deepEqual(await left(), ["ulimit h1"]);
    assert.deepEqual(names(await document()), ["quorum", "ulimit"]);
    await apply({ services: [hdfs(["h1", "h2", "h3"])] });
  });

  it("should be gone while switched off", async () => {
    const { record, current } = fixture;
    await record("h1", [{ name: "disk", state: CRITICAL }], ["disk"]);
    await edit({ enabled: false });
    assert.equal(await current("disk"), undefined);
    assert.ok(!names(await document()).includes("disk"));
    assert.equal((await definition("disk"))?.enabled, false);
    await edit({ enabled: true });
    assert.ok(names(await document()).includes("disk"));
    assert.equal(await current("disk"), undefined);
  });

  it("should keep their document while packages are purged", async () => {
    await execute(fixture.database.db, "update package set created_at = 1");
    await execute(fixture.database.db, "update stack set pushed_at = 1");
    const purge = fixture.store.client.purgeRequests({ olderThan: { seconds: 3_600n } });
    let packages = 0n;
    for await (const part of purge) packages = part.packages;
    assert.ok(packages > 0n);
    assert.ok((await document()).length > 0);
  });

  it("should say what is wrong with an edit, and where to look", async () => {
    const { alerts } = fixture;
    const refused = (over: object, message: RegExp) =>
      rejects(edit(over), Code.InvalidArgument, message);
    await refused({ name: "" }, /^name "" is empty/);
    await refused({ intervalMinutes: 0 }, /^interval_minutes 0 must be from 1 to 525600/);
    await refused({ repeatTolerance: 101 }, /^repeat_tolerance 101 must be from 1 to 100/);
    await refused({ sourceJson: "{" }, /^source_json "{" is no JSON/);
    await refused({ sourceJson: "[]" }, /is no JSON object/);
    await refused({ sourceJson: '{"type":"PORT"}' }, /has type "PORT"; it must be "SCRIPT"/);
    await refused({ sourceJson: '{"type":"SCRIPT"}' }, /needs "path", a text/);
    await refused({ sourceJson: '{"type":"SCRIPT","path":"../a.py"}' }, /may have no \.\./);
    const reporting = { warning: { value: "much" } };
    await refused(
      { sourceJson: JSON.stringify({ type: "SCRIPT", path: "a", reporting }) },
      /has "reporting\.warning\.value" that is no number/,
    );
    const parameters = [{ value: 1 }];
    await refused(
      { sourceJson: JSON.stringify({ type: "SCRIPT", path: "a", parameters }) },
      /has a parameter without a name, "parameters\[0\]"/,
    );
    await rejects(edit({ name: "no" }), Code.NotFound, /^cluster prod has no alert definition no;/);
    const elsewhere = { cluster: "other", name: "disk" };
    await rejects(
      alerts.updateAlertDefinition(elsewhere),
      Code.NotFound,
      /no cluster other; there are prod/,
    );
  });

  it("should be refused when a stack that is pushed has them wrong", async () => {
    const refused = (over: Partial<AlertDefinition>, message: RegExp) =>
      rejects(fixture.push([disk(over)]), Code.InvalidArgument, message);
    await refused({ name: "" }, /alert_definitions\[\]\.name: "" must be 1 to 255/);
    await refused({ intervalMinutes: 0 }, /interval_minutes: 0 must be from 1/);
    await refused({ sourceJson: "null" }, /source_json: is no JSON object/);
    await refused({ sourceType: 99 as AlertSourceType }, /source_type: 99 is none/);
    await refused({ repeatTolerance: 101 }, /repeat_tolerance: 101 must be/);
    await rejects(
      fixture.push([disk(), disk()]),
      Code.InvalidArgument,
      /alert definition disk is there twice/,
    );
  });
});
