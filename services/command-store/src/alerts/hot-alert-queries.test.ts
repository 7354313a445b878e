import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import { AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { execute } from "../database/query.js";
import { type AlertFixture, openAlertFixture, scriptAlert } from "../testing/alert-fixture.js";
import { findScans, recorded, rowsRead } from "../testing/explained.js";
import { inMemory } from "../testing/in-memory.js";
import { startStore, type TestStore } from "../testing/store.js";
import { createAlertService } from "./alert-service.js";

/** Tables that grow with the fleet and with time. `d` and `c` are small. */
const large = /^(alert_current|alert_history|alert_stale|a|host_component|p|h|host|s|session)$/;
const definitions = 10;
const hosts = 2_000;

describe("alerts of many hosts", () => {
  let fixture: AlertFixture;
  let narrow: TestStore;
  before(async () => {
    fixture = await openAlertFixture([
      ...Array.from({ length: definitions }, (_, i) => scriptAlert(`alert-${i}`)),
      scriptAlert("host", { serviceName: "AMBARI", componentName: "AMBARI_AGENT" }),
      scriptAlert("beat", {
        ...{ serviceName: "AMBARI", componentName: "AMBARI_SERVER" },
        sourceType: AlertSourceType.SERVER,
        sourceJson: '{"type":"SERVER","class":"StaleAlertRunnable"}',
      }),
    ]);
    narrow = await startStore(fixture.database.url, 1);
    await makeAlerts();
  });
  after(async () => {
    await narrow?.stop();
    await fixture?.close();
  });

  /** Alerts, changes and components as of so many hosts more; none in a hundred is well. */
  async function makeAlerts(): Promise<void> {
    const { database, clusterId, idOf } = fixture;
    const { db } = database;
    for (let d = 0; d < definitions; d += 1) {
      const id = Number(await idOf(`alert-${d}`));
      const each = Array.from({ length: hosts }, (_, i) => i + 1);
      const name = `alert-${d}`;
      const state = (i: number) => (i % 100 === 0 ? 1 : 4);
      const cluster = Number(clusterId);
      await execute(
        db,
        `insert into alert_current (definition_id, host_id, cluster_id, service_name, name, host_name, alert_state, firmness,
          occurrences, since, told_at, version, latest_text) values ?`,
        [
          each.map((i) => [
            id,
            1_000 + i,
            cluster,
            "HDFS",
            name,
            `x${i}`,
            state(i),
            2,
            1,
            1,
            1,
            1,
            "",
          ]),
        ],
      );
      await execute(
        db,
        `insert into alert_history (cluster_id, name, host_name, service_name, component_name, alert_state, changed_at, alert_text)
        values ?`,
        [each.map((i) => [cluster, name, `x${i}`, "HDFS", "DATANODE", state(i), 1, ""])],
      );
    }
    await execute(
      db,
      `insert into host_component (cluster_id, component_name, host_id, service_name, host_name, client, desired_state,
        current_state, changed_at, binding_id) values ?`,
      [
        Array.from({ length: hosts }, (_, i) => [
          ...[Number(clusterId), "DATANODE", 1_001 + i, "HDFS", `x${i + 1}`, 0, 4, 4, 0, 0],
        ]),
      ],
    );
    const labels = Array.from({ length: hosts }, (_, i) => [
      `x${i + 1}`,
      "",
      "",
      "",
      "",
      "{}",
      "{}",
      1,
    ]);
    await execute(
      db,
      `insert into host (host_name, agent_id, journal_id, boot_id, agent_version, labels, facts, registered_at) values ?`,
      [labels],
    );
    const stale = Array.from({ length: hosts }, (_, i) => [1_001 + i, 1, 1]);
    await execute(db, "insert into alert_stale (host_id, definition_id, since) values ?", [stale]);
    for (const table of [
      "alert_stale",
      "alert_current",
      "alert_history",
      "host_component",
      "host",
    ]) {
      await db.raw(`analyze table ${table}`);
    }
  }

  const clientOn = (store: TestStore) =>
    createClient(
      AlertService,
      inMemory(({ service }) => service(AlertService, createAlertService(store.db))),
    );
  const cost = async (work: () => Promise<unknown>) => {
    const before = await rowsRead(narrow.db);
    await work();
    return (await rowsRead(narrow.db)) - before;
  };
  const filters = [
    {},
    { name: "alert-3" },
    { serviceName: "HDFS" },
    { hostName: "x7" },
    { states: [AlertState.OK] },
  ];

  it("should be read and written by indexes", async () => {
    const { client, db } = narrow;
    const alerts = clientOn(narrow);
    const cluster = "prod";
    const sent = await recorded(db, async () => {
      for (const filter of filters) {
        // The first page counts, which reads an index from end to end; the second one is like all others.
        const { nextPageToken: pageToken } = await alerts.listAlerts({
          ...{ cluster, pageSize: 5, ...filter },
        });
        if (pageToken !== "")
          await alerts.listAlerts({ cluster, pageSize: 5, pageToken, ...filter });
      }
      await alerts.listAlertHistory({ cluster, pageSize: 5 });
      await alerts.listAlertHistory({ cluster, pageSize: 5, name: "alert-1", pageToken: "9000" });
      await alerts.listAlertHistory({ cluster, pageSize: 5, hostName: "x9" });
      const results = await Promise.all(
        ["alert-1", "alert-2"].map(async (name) => ({
          ...{ clusterId: fixture.clusterId, definitionId: await fixture.idOf(name) },
          state: AlertState.OK,
        })),
      );
      const staleDefinitionIds = [await fixture.idOf("alert-1")];
      const part = { session: fixture.host("h1"), results, staleDefinitionIds };
      await client.recordAlerts({ hosts: [part] });
      await client.recordAlerts({ hosts: [{ ...part, staleDefinitionIds: [] }] });
      await client.evaluateServerAlerts({ schedulerToken: 1n });
      await client.evaluateServerAlerts({ schedulerToken: 1n });
      const { version = 0n } = (await client.listAlertTargets({})).changed[0] ?? {};
      await client.listAlertTargets({ knownVersions: { [`${fixture.clusterId}`]: version } });
    });
    assert.ok(sent.length > 25, `only ${sent.length} statements were seen`);
    const counting =
      /^select a\.definition_id as definitionId, a\.alert_state \+ 0 as state, count/;
    const rest = sent.filter(({ sql }) => !counting.test(sql.trim()));
    assert.ok(rest.length < sent.length);
    assert.deepEqual(await findScans(fixture.database.db, rest, large), []);
  });

  it("should cost a page the same wherever it is", async () => {
    const alerts = clientOn(narrow);
    const pageSize = 50;
    for (const filter of filters) {
      let pageToken = "";
      for (let page = 0; page < 20; page += 1) {
        const asked = { cluster: "prod", pageSize, pageToken, ...filter };
        let next = "";
        const rows = await cost(async () => {
          next = (await alerts.listAlerts(asked)).nextPageToken;
        });
        // The first one counts.
        if (page > 0) assert.ok(rows < 10 * pageSize + 300, `${rows} rows for page ${page}`);
        pageToken = next;
        if (next === "") break;
      }
    }
    const history = { cluster: "prod", pageSize, pageToken: "10000" };
    const rows = await cost(() => alerts.listAlertHistory(history));
    assert.ok(rows < 3 * pageSize + 100, `${rows} rows of history`);
  });

  it("should cost next to nothing when the server has nothing to find out", async () => {
    const { client } = narrow;
    const { changed } = await client.listAlertTargets({});
    const knownVersions = { [`${fixture.clusterId}`]: changed[0]?.version ?? 0n };
    await client.evaluateServerAlerts({ schedulerToken: 1n });
    const nothing = await cost(() => client.evaluateServerAlerts({ schedulerToken: 1n }));
    assert.ok(nothing < 30, `${nothing} rows`);
    const known = await cost(() => client.listAlertTargets({ knownVersions }));
    assert.ok(known < 30, `${known} rows`);
  });
});
