import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { inTransaction } from "../database/transaction.js";
import { insertAlertHistory } from "../store/current-alerts.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { startStore, type TestStore } from "../testing/store.js";

describe("purging the history of alerts", () => {
  let database: TestDatabase;
  let store: TestStore;
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url);
  });
  after(async () => {
    await store?.stop();
    await database?.close();
  });

  it("should delete what is old enough, more than a statement takes, and nothing else", async () => {
    const now = Date.now();
    const ages = [...Array.from({ length: 2_001 }, () => 7_200_000), 60_000, 0];
    const event = { clusterId: 1, name: "disk", hostName: "h1", service: "HDFS", text: "" };
    const events = ages.map((ms) => ({
      ...{ ...event, component: "DATANODE", state: AlertState.OK, changedAt: now - ms },
    }));
    await inTransaction(database.db, (trx) => insertAlertHistory(trx, events));
    const purge = async (dryRun: boolean) => {
      let deleted = 0n;
      const answers = store.client.purgeRequests({ olderThan: { seconds: 3_600n }, dryRun });
      for await (const { alertChanges } of answers) deleted = alertChanges;
      return Number(deleted);
    };
    assert.equal(await purge(true), 2_001);
    assert.equal(await purge(false), 2_001);
    assert.equal(await purge(false), 0);
    const rows = await database.db("alert_history");
    assert.equal(rows.length, 2);
  });
});
