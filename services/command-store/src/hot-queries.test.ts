import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { OpenSessionRequestSchema } from "@howdah/proto/howdah/v1/store_sessions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { statuses, statusName } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { execute, query } from "./database/query.js";
import { createCommandParts } from "./requests/commands.js";
import { openSessions } from "./requests/open-sessions.js";
import { purgeAbandoned } from "./requests/purge-abandoned.js";
import { findScans, recorded } from "./testing/explained.js";
import { type Fixture, openFixture } from "./testing/fixture.js";
import { openFleet } from "./testing/sample-cluster.js";
import {
  asynchronous,
  createReleased,
  createSample,
  openSession,
  requestParts,
} from "./testing/store.js";

/** Tables of which a scan would cost more with every request ever made. */
const large =
  /^(q|request|stage|s|role_success_criteria|r|host_role_command|t|execution_command|task_output|o|task_attempt|a|batch_failures|b|host_component|hc)$/;

describe("hot queries", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  it("should be served by an index each, with much history in the store", async () => {
    const { store, database, hostId, sessionEpoch } = fixture;
    // History, so that a scan would not look cheap to the optimiser.
    for (let i = 0; i < 8; i += 1) {
      const old = await fixture.subject(1_000);
      await old.transit(TaskEvent.GIVEN_UP);
    }
    for (let i = 0; i < 60; i += 1) await (await fixture.subject(1)).transit(TaskEvent.GIVEN_UP);
    const clusterId = await makeComponents(database.db, 5_000);
    const tables = ["request", "stage", "role_success_criteria", "host_role_command"];
    for (const table of [...tables, "host_component"]) {
      await database.db.raw(`analyze table ${table}`);
    }
    const output = (text: string) => [
      { stream: OutputStream.STDOUT, offset: 0n, data: Buffer.from(text) },
    ];
    const sent = await recorded(store.db, async () => {
      const subject = await fixture.subject([
        [{ role: "A", hosts: [hostId, hostId, hostId] }],
        [{ role: "B", hosts: [hostId] }],
      ]);
      const { requestId } = subject;
      const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
      const large = { stages: [[{ role: "A", hosts: [hostId, hostId] }]], chunk: 1 };
      await createSample(store, large);
      const small = { stages: [[{ role: "A", hosts: [hostId] }]], header: { clusterId } };
      await createReleased(store, small, [{ task: 0, sessionEpoch }]);
      await assert.rejects(
        store.client.createRequest(asynchronous([...requestParts(large)].slice(0, -1))),
      );
      await subject.transit(TaskEvent.RELEASED);
      await subject.report(TaskEvent.STARTED, a, { output: output("x") });
      await store.client.appendOutput({
        appends: output("y").map((chunk) => ({
          taskId: b,
          attempt: 1,
          hostId,
          sessionEpoch,
          chunk,
        })),
      });
      await subject.report(TaskEvent.FAILED, a);
      await subject.transit(TaskEvent.DEADLINE_PASSED, [c]);
      await subject.transit(TaskEvent.RETRIED, [a, c]);
      await subject.report(TaskEvent.SUCCEEDED, a);
      const rolling = await fixture.subject(2, { rolling: { maxBatchFailures: 1 } });
      await rolling.transit(TaskEvent.RELEASED);
      await rolling.report(TaskEvent.FAILED);
      await rolling.mark({ pause: { paused: true } });
      await rolling.mark({ pause: { paused: false } });
      const { request, taskIds } = await createSample(store, {
        stages: [[{ role: "C1", hosts: [hostId] }]],
        header: { clusterId },
      });
      const start = { taskId: taskIds[0] ?? 0n, attempt: 1, hostId, sessionEpoch };
      const release = { ...start, event: TaskEvent.RELEASED };
      const ofCluster = { requestId: request?.requestId ?? 0n, transitions: [release] };
      await store.client.recordTransitions({ schedulerToken: 1n, requests: [ofCluster] });
      const ended = { ...start, event: TaskEvent.SUCCEEDED };
      await store.client.recordReports({ reports: [ended] });
      const status = { hostId, sessionEpoch, clusterId, componentName: "C1", state: 4 };
      const { changed } = await store.client.recordComponentStatuses({ statuses: [status] });
      assert.equal(changed, 1);
      const { fleet } = openFleet(store.db);
      for (const narrowed of [
        {},
        { services: ["S1", "S2"] },
        { components: ["C1"] },
        { hosts: { names: ["host"] } },
        { restartRequiredOnly: true },
      ]) {
        const asked = { cluster: "many", pageSize: 10, ...narrowed };
        const { nextPageToken: pageToken } = await fleet.listHostComponents(asked);
        await fleet.listHostComponents({ ...asked, pageToken });
      }
      await assert.rejects(store.client.removeWindow({ schedulerToken: 1n, name: "none" }));
      const lost = { schedulerToken: 1n, hosts: [{ hostId: 1n << 40n, sessionEpoch: 1n }] };
      await store.client.recordLostHosts(lost);
      await store.client.listTasks({ requestId });
      await store.client.listTasks({ requestId, changedAfterVersion: 3n });
      await store.client.getTask({ taskId: a });
      await store.client.listRequests({});
      await store.client.listRequests({ unfinishedOnly: true });
      await store.client.listUnfinished({});
      const caller = new AbortController();
      const watching = store.client.watchRequest(
        { requestId, includeTasks: true },
        { signal: caller.signal },
      );
      for await (const _ of watching) break;
      caller.abort();
      for await (const _ of store.client.readTaskOutput({ taskId: b }));
      await openSession(store, "host", {
        takeoverEpoch: sessionEpoch,
        journalId: "journal of host",
      });
      // Open tasks and all, by a new start of its dispatcher; and a host that is new.
      const together = ["host", "new"].map((hostName) =>
        create(OpenSessionRequestSchema, {
          ...{ hostName, agentId: `agent of ${hostName}`, journalId: `journal of ${hostName}` },
          ...{ dispatcher: "dispatcher/d1", dispatcherToken: 1n << 40n },
        }),
      );
      const parts = createCommandParts();
      const { answers } = await openSessions(store.db, parts, "", together, Date.now());
      assert.equal(answers.size, 2);
      await store.client.closeSessions({ sessions: [{ hostId, sessionEpoch: 1n }] });
      await purgeAbandoned(store.db, Date.now() + 3_700_000);
    });
    assert.ok(sent.length > 30, `only ${sent.length} statements were seen`);
    assert.deepEqual(await findScans(database.db, sent, large), []);
  });

  it("should number statuses and role commands in the tables as protobuf does", async () => {
    const { db } = fixture.database;
    const columns = await query<{ COLUMN_NAME: string; COLUMN_TYPE: string }>(
      db,
      `select column_name as COLUMN_NAME, column_type as COLUMN_TYPE from information_schema.columns
      where table_schema = database() and table_name = 'host_role_command' and column_name in ('status', 'role_command')`,
    );
    const values = new Map(
      columns.map(({ COLUMN_NAME, COLUMN_TYPE }) => [
        COLUMN_NAME,
        Array.from(COLUMN_TYPE.matchAll(/'([A-Z_]+)'/g), ([, name]) => name),
      ]),
    );
    for (const status of statuses)
      assert.equal(values.get("status")?.[status - 1], statusName(status));
    for (let command = 1; RoleCommand[command] !== undefined; command += 1) {
      assert.equal(values.get("role_command")?.[command - 1], RoleCommand[command]);
    }
  });
});

/** Makes a cluster of which each of so many hosts has a component of its own, and `host` one of each; gives its id. */
async function makeComponents(db: Knex, count: number): Promise<bigint> {
  const { insertId } = await execute(
    db,
    `insert into cluster (name, stack_name, stack_version, version, configurations_digest, topology_digest, metadata_digest)
    values ('many', 'S', '1', 1, '', '', '')`,
  );
  const rows = Array.from({ length: count }, (_, i) => {
    const [service, component] = [`S${i % 5}`, `C${i % 20}`];
    return [insertId, component, i + 1, service, i === 0 ? "host" : `h${i}`, 0, 4, 4, 0, 0];
  });
  await execute(
    db,
    `insert into host_component (cluster_id, component_name, host_id, service_name, host_name, client, desired_state,
      current_state, changed_at, binding_id) values ?`,
    [[...rows, [insertId, "C1", 1, "S1", "host", 0, 4, 4, 0, 0]]],
  );
  return BigInt(insertId);
}
