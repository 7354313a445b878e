import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import { type Alert, AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";
import { StaleReadError } from "../database/database-errors.js";
import { query } from "../database/query.js";
import { inTransaction } from "../database/transaction.js";
import { insertCurrentAlerts } from "../store/current-alerts.js";
import { type AlertFixture, openAlertFixture, scriptAlert } from "../testing/alert-fixture.js";
import { rejects } from "../testing/rejects.js";
import { openSession } from "../testing/store.js";

const { OK, WARNING, CRITICAL, UNKNOWN, SKIPPED } = AlertState;

describe("recordAlerts", () => {
  let fixture: AlertFixture;
  before(async () => {
    const names = ["first", "table", "skip", "patient", "mine", "off", "late", "raced", "stale"];
    fixture = await openAlertFixture([
      ...names.map((name) => scriptAlert(name)),
      scriptAlert("three", { repeatTolerance: 3 }),
      scriptAlert("shared", { ignoreHost: true }),
      scriptAlert("masters", { componentName: "" }),
      scriptAlert("hosts", { serviceName: "AMBARI", componentName: "AMBARI_AGENT" }),
      scriptAlert("server", {
        sourceType: AlertSourceType.SERVER,
        sourceJson: '{"type":"SERVER","class":"X"}',
      }),
    ]);
  });
  after(() => fixture?.close());

  const shown = (alert: Alert | undefined) =>
    alert === undefined
      ? undefined
      : `${AlertState[alert.state]} ${AlertFirmness[alert.firmness]} ${alert.occurrences} ${alert.text}`;
  const historyOf = async (name: string) =>
    (await fixture.alerts.listAlertHistory({ cluster: "prod", name })).changes;

  it("should keep one alert for each host, and each change of its state", async () => {
    const { record, current } = fixture;
    assert.equal(await record("h1", [{ name: "first", state: OK, text: "fine" }]), 1);
    assert.equal(await record("h2", [{ name: "first", state: CRITICAL, text: "gone" }]), 1);
    assert.equal(await record("h1", [{ name: "first", state: OK, text: "finer" }]), 0);
    assert.equal(await record("h1", [{ name: "first", state: WARNING, text: "hm" }]), 1);
    assert.equal(shown(await current("first", "h1")), "WARNING HARD 1 hm");
    assert.equal(shown(await current("first", "h2")), "CRITICAL HARD 1 gone");
    const changes = await historyOf("first");
    assert.deepEqual(
      changes.map(({ hostName, state, text }) => [hostName, AlertState[state], text]),
      [
        ["h1", "WARNING", "hm"],
        ["h2", "CRITICAL", "gone"],
        ["h1", "OK", "fine"],
      ],
    );
    assert.equal(changes[0]?.componentName, "DATANODE");
  });

  it("should fold several results of one alert in the order given", async () => {
    const { record, current } = fixture;
    const found = [
      { name: "table", state: OK, text: "1" },
      { name: "table", state: WARNING, text: "2" },
      { name: "table", state: WARNING, text: "3" },
      { name: "table", state: CRITICAL, text: "4" },
    ];
    assert.equal(await record("h1", found), 1);
    assert.equal(shown(await current("table")), "CRITICAL HARD 3 4");
    assert.deepEqual(
      (await historyOf("table")).map(({ text }) => text),
      ["4", "2", "1"],
    );
    assert.equal(await record("h1", [{ name: "table", state: CRITICAL, text: "5" }]), 0);
    assert.equal(shown(await current("table")), "CRITICAL HARD 4 5");
  });

  it("should not count what was skipped, and keep its text when there is no new one", async () => {
    const { record, current } = fixture;
    assert.equal(await record("h1", [{ name: "skip", state: SKIPPED, text: "no" }]), 0);
    assert.equal(await current("skip"), undefined);
    await record("h1", [{ name: "skip", state: WARNING, text: "hm", ageMs: 60_000n }]);
    const before = await current("skip");
    await record("h1", [{ name: "skip", state: SKIPPED, text: " " }]);
    const after = await current("skip");
    assert.equal(shown(after), "WARNING HARD 1 hm");
    assert.ok((after?.toldAt?.seconds ?? 0n) >= (before?.toldAt?.seconds ?? 0n) + 59n);
    assert.deepEqual(after?.since, before?.since);
    await record("h1", [{ name: "skip", state: SKIPPED, text: "later" }]);
    assert.equal(shown(await current("skip")), "WARNING HARD 1 later");
  });

  it("should take the tolerance of the definition, else of the cluster", async () => {
    const { record, current, apply } = fixture;
    const tell = async (name: string, state: AlertState) => {
      await record("h1", [{ name, state, text: "" }]);
      return shown(await current(name));
    };
    assert.equal(await tell("three", OK), "OK HARD 1 ");
    assert.equal(await tell("three", WARNING), "WARNING SOFT 1 ");
    assert.equal(await tell("three", CRITICAL), "CRITICAL SOFT 2 ");
    assert.equal(await tell("three", CRITICAL), "CRITICAL HARD 3 ");
    await apply({
      configurations: { "cluster-env": { properties: { alerts_repeat_tolerance: "2" } } },
    });
    assert.equal(await tell("patient", OK), "OK HARD 1 ");
    assert.equal(await tell("patient", WARNING), "WARNING SOFT 1 ");
    assert.equal(await tell("patient", WARNING), "WARNING HARD 2 ");
    await apply();
  });

  it("should keep one alert in the cluster when hosts are ignored", async () => {
    const { record, alerts } = fixture;
    assert.equal(await record("h1", [{ name: "shared", state: OK }]), 1);
    assert.equal(await record("h2", [{ name: "shared", state: OK }]), 0);
    assert.equal(await record("h3", [{ name: "shared", state: CRITICAL }]), 1);
    const { alerts: found } = await alerts.listAlerts({ cluster: "prod", name: "shared" });
    assert.deepEqual(
      found.map(({ hostName, state }) => [hostName, state]),
      [["", CRITICAL]],
    );
  });

  it("should drop what a host does not watch, nobody knows or is not an agent's to say", async () => {
    const { record, store, host, clusterId, current, alerts, idOf } = fixture;
    assert.equal(await record("h3", [{ name: "masters", state: OK }]), 0);
    assert.equal(await record("h1", [{ name: "masters", state: OK }]), 1);
    assert.equal(await record("h2", [{ name: "masters", state: OK }]), 1);
    assert.equal(await record("h3", [{ name: "hosts", state: OK }]), 1);
    assert.equal(await record("h1", [{ name: "server", state: OK }]), 0);
    const definitionId = await idOf("mine");
    const send = (over: object) =>
      store.client.recordAlerts({
        hosts: [
          { session: host("h1"), results: [{ clusterId, definitionId, state: OK, ...over }] },
        ],
      });
    assert.equal((await send({ definitionId: 999_999n })).changed, 0);
    assert.equal((await send({ clusterId: clusterId + 1n })).changed, 0);
    assert.equal((await send({ state: 77 })).changed, 0);
    assert.equal(await current("mine"), undefined);
    await alerts.updateAlertDefinition({ cluster: "prod", name: "off", enabled: false });
    assert.equal(await record("h1", [{ name: "off", state: OK }]), 0);
    assert.equal((await send({})).changed, 1);
  });

  it("should drop what comes on a session that is over", async () => {
    const { record, host, store, current } = fixture;
    const before = { ...host("h1") };
    const { sessionEpoch } = await openSession(store, "h1", { takeoverEpoch: before.sessionEpoch });
    assert.equal(await record("h1", [{ name: "late", state: CRITICAL }], ["late"]), 0);
    assert.equal(await current("late"), undefined);
    host("h1").sessionEpoch = sessionEpoch;
    assert.equal(await record("h1", [{ name: "late", state: OK }]), 1);
  });

  it("should cut a text and take out what no database keeps", async () => {
    const { record, current } = fixture;
    await record("h2", [{ name: "late", state: OK, text: `\0${"x".repeat(3_999)}😀 tail` }]);
    const text = (await current("late", "h2"))?.text ?? "";
    assert.equal(text, "x".repeat(3_999));
  });

  it("should count each result when two replicas record one alert at once", async () => {
    const { record, current } = fixture;
    const tellers = ["h1", "h2", "h3"] as const;
    // No more than a transaction has attempts: where all meet again and again, one of them commits each time.
    const told = Array.from({ length: 6 }, (_, i) =>
      record(tellers[i % 3] ?? "h1", [
        { name: "shared", state: WARNING, text: "w" },
        { name: "raced", state: UNKNOWN, text: "u" },
      ]),
    );
    await Promise.all(told);
    assert.equal((await current("shared"))?.occurrences, 7);
    const raced = await Promise.all(tellers.map((name) => current("raced", name)));
    assert.deepEqual(
      raced.map((each) => each?.occurrences),
      [2, 2, 2],
    );
    assert.equal((await historyOf("raced")).length, 3);
  });

  it("should keep which alerts a host has not checked, as it last said", async () => {
    const { record, current, database } = fixture;
    const since = async () => {
      const rows = await query<{ since: number }>(database.db, "select since from alert_stale");
      return rows.map((row) => row.since);
    };
    await record("h1", [{ name: "stale", state: OK }]);
    await record("h2", [{ name: "stale", state: OK }]);
    await record("h1", [], ["stale", "late"]);
    assert.equal((await current("stale", "h1"))?.stale, true);
    assert.equal((await current("stale", "h2"))?.stale, false);
    const first = await since();
    assert.equal(first.length, 2);
    await record("h1", [], ["stale", "late"]);
    assert.deepEqual(await since(), first);
    await record("h1", [], ["late"]);
    assert.equal((await current("stale", "h1"))?.stale, false);
    await record("h1", []);
    assert.deepEqual(await since(), []);
  });

  it("should make no alert once the cluster has changed since it was read who watches it", async () => {
    const { database, idOf, host, clusterId, current } = fixture;
    const [row] = await query<{ version: number }>(database.db, "select version from cluster");
    const insert = (clusterVersion: number) =>
      inTransaction(database.db, (trx) =>
        insertCurrentAlerts(trx, [
          {
            ...{ definitionId: key.definitionId, hostId: key.hostId, hostName: "h3" },
            ...{ clusterId: Number(clusterId), clusterVersion, service: "HDFS", name: "table" },
            ...{ state: OK, firmness: AlertFirmness.HARD, occurrences: 1, since: 1, toldAt: 1 },
            ...{ text: "", version: 0 },
          },
        ]),
      );
    const key = {
      definitionId: Number(await idOf("table")),
      hostId: Number(host("h3").hostId),
    };
    const version = row?.version ?? 0;
    await assert.rejects(insert(version - 1), StaleReadError);
    assert.equal(await current("table", "h3"), undefined);
    await insert(version);
    assert.equal((await current("table", "h3"))?.state, OK);
    await assert.rejects(insert(version), StaleReadError, "it is there already");
  });

  it("should refuse more results than a call may have", async () => {
    const { store, host, clusterId } = fixture;
    const results = Array.from({ length: 10_001 }, () => ({ clusterId, definitionId: 1n }));
    await rejects(
      store.client.recordAlerts({ hosts: [{ session: host("h1"), results }] }),
      Code.InvalidArgument,
      /hosts\.results 10001 are too many/,
    );
  });
});
