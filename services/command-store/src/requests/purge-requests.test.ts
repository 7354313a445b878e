import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { PurgeRequestsResponse } from "@howdah/proto/howdah/v1/store_purge";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { Knex } from "knex";
import { execute, query } from "../database/query.js";
import { inTransaction } from "../database/transaction.js";
import { deletePackage, listUnnamed } from "../store/purge-packages.js";
import { hideRequest } from "../store/purge-requests.js";
import { insertPackage, insertPackageChunk, makeUploadId } from "../store/put-package.js";
import { type Fixture, openFixture, type Subject } from "../testing/fixture.js";
import { makePattern, multiplyHistory } from "../testing/make-history.js";
import { rejects } from "../testing/rejects.js";
import { hdfs, openFleet } from "../testing/sample-cluster.js";
import { createSample, openSession } from "../testing/store.js";
import { purgeAbandoned } from "./purge-abandoned.js";

const dayMs = 86_400_000;
const tenDays = { seconds: 864_000n };

describe("PurgeRequests", () => {
  let fixture: Fixture;
  let db: Knex;
  before(async () => {
    fixture = await openFixture();
    db = fixture.database.db;
  });
  after(() => fixture?.close());

  async function purge(dryRun = false): Promise<PurgeRequestsResponse> {
    let last: PurgeRequestsResponse | undefined;
    const answers = fixture.store.client.purgeRequests({ olderThan: tenDays, dryRun });
    for await (const answer of answers) last = answer;
    assert.equal(last?.done, true);
    return last;
  }

  /** Makes a finished request of `count` tasks, with output and a superseded attempt, that ended so many days ago. */
  async function finished(count: number, days: number): Promise<Subject> {
    const subject = await fixture.subject(count);
    await subject.transit(TaskEvent.RELEASED);
    const output = [{ stream: OutputStream.STDOUT, offset: 0n, data: Buffer.from("0123456789") }];
    for (const taskId of subject.taskIds) {
      await subject.report(TaskEvent.SUCCEEDED, taskId, { output });
    }
    await execute(
      db,
      `insert into task_attempt (task_id, attempt, status, session_epoch, binding_id, queue_time, start_time, end_time)
      values (?, 0, 'FAILED', 1, 0, 0, 0, 0)`,
      [Number(subject.taskIds[0])],
    );
    await age(subject, days);
    return subject;
  }

  async function age({ requestId }: Subject, days: number): Promise<void> {
    await execute(
      db,
      "update request set create_time = create_time - ?, end_time = end_time - ? where request_id = ?",
      [days * dayMs, days * dayMs, Number(requestId)],
    );
  }

  async function exists({ requestId }: Subject): Promise<boolean> {
    const { requests } = await fixture.store.client.listRequests({ pageSize: 1_000 });
    return requests.some((request) => request.requestId === requestId);
  }

  /** How many rows are left of a request, in whatever table names requests or tasks. */
  async function rowsOf({ requestId, taskIds }: Subject): Promise<Record<string, number>> {
    const tables = await query<{ table: string; column: string }>(
      db,
      `select table_name as \`table\`, column_name as \`column\` from information_schema.columns
      where table_schema = database() and column_name in ('request_id', 'task_id')`,
    );
    assert.ok(tables.length >= 8);
    const left: Record<string, number> = {};
    for (const { table, column } of tables) {
      const ids = column === "request_id" ? [Number(requestId)] : taskIds.map(Number);
      const sql = `select count(*) as count from ${table} where ${column} in (?)`;
      const [row] = await query<{ count: number }>(db, sql, [ids]);
      if (row !== undefined && row.count > 0) left[table] = row.count;
    }
    return left;
  }

  it("should delete what ended long ago with all its rows, and nothing else", async () => {
    const old = await finished(3, 11);
    const young = await finished(2, 9);
    const open = await fixture.subject(2);
    await age(open, 20);
    const dry = await purge(true);
    assert.deepEqual([dry.requests, dry.tasks], [1n, 3n]);
    assert.equal(Object.keys(await rowsOf(old)).length, 7);

    const done = await purge();
    assert.deepEqual([done.requests, done.tasks, done.outputBytes], [1n, 3n, 30n]);
    assert.deepEqual(await rowsOf(old), {});
    assert.equal((await young.tasks()).length, 2);
    assert.equal((await open.tasks()).length, 2);
    const again = await purge();
    assert.deepEqual([again.requests, again.tasks], [0n, 0n]);
  });

  it("should keep for seven days what an agent may yet answer for", async () => {
    const lost = await fixture.subject(1);
    await lost.transit(TaskEvent.RELEASED);
    await lost.transit(TaskEvent.DEADLINE_PASSED);
    await age(lost, 6);
    const call = (seconds: bigint) =>
      fixture.store.client.purgeRequests({ olderThan: { seconds } });
    for await (const _ of call(5n * 86_400n));
    assert.ok(await exists(lost));
    await age(lost, 2);
    for await (const _ of call(5n * 86_400n));
    assert.ok(!(await exists(lost)));
  });

  it("should hide a request at once, and finish later what broke off", async () => {
    const old = await finished(3, 11);
    const { idempotencyKey } = await old.request();
    assert.ok(await hideRequest(db, Number(old.requestId), Date.now() - 10 * dayMs));
    assert.ok(!(await exists(old)));
    const { results } = await old.report(TaskEvent.FAILED);
    assert.notEqual(results[0]?.outcome, 1, "nothing is recorded about it any more");
    const anew = await createSample(fixture.store, {
      key: idempotencyKey,
      stages: [[{ role: "A", hosts: [fixture.hostId] }]],
    });
    assert.ok(anew.created, "its key is free");
    await execute(db, "delete from host_role_command where task_id = ?", [Number(old.taskIds[0])]);
    assert.deepEqual((await purge()).tasks, 2n);
    const gone = await rowsOf(old);
    // Of the task whose row this test took away, its other rows have nobody to find them.
    assert.equal(gone.stage ?? gone.request ?? gone.host_role_command, undefined);

    const other = await finished(2, 11);
    await hideRequest(db, Number(other.requestId), Date.now() - 10 * dayMs);
    await purgeAbandoned(db, Date.now());
    assert.deepEqual(await rowsOf(other), {});
  });

  it("should not touch what has come to life again", async () => {
    const revived = await finished(1, 11);
    await execute(db, "update request set open = 1 where request_id = ?", [
      Number(revived.requestId),
    ]);
    assert.equal(await hideRequest(db, Number(revived.requestId), Date.now()), false);
    assert.deepEqual((await purge()).requests, 0n);
  });

  it("should refuse an age that cannot be, saying how to write one", async () => {
    const call = async (olderThan?: { seconds: bigint }) => {
      for await (const _ of fixture.store.client.purgeRequests(olderThan ? { olderThan } : {}));
    };
    const hint =
      "is not an hour or more; say how old what may go must be, such as 7776000s for 90 days";
    await rejects(call(), Code.InvalidArgument, `older_than "nothing" ${hint}`);
    await rejects(call({ seconds: 60n }), Code.InvalidArgument, `older_than "60s" ${hint}`);
    await rejects(call({ seconds: -60n }), Code.InvalidArgument, `older_than "-60s" ${hint}`);
  });

  it("should delete packages that nothing names, but not what has been put again", async () => {
    const { fleet, stacks } = openFleet(db);
    for (const name of ["h1", "h2", "h10"]) await openSession(fixture.store, name);
    const put = async (text: string) => {
      const digest = createHash("sha256").update(text).digest("hex");
      const uploadId = makeUploadId();
      await insertPackageChunk(db, uploadId, 0, Buffer.from(text));
      await inTransaction(db, (trx) => insertPackage(trx, { digest, size: text.length, uploadId }));
      return digest;
    };
    const [superseded, pushed, actions, planned, again] = await Promise.all(
      ["superseded", "pushed", "actions", "planned", "again"].map(put),
    );
    const stack = {
      name: "SAMPLE",
      version: "1.0",
      customActionsDigest: actions ?? "",
      services: ["ZOOKEEPER", "HDFS"].map((name) => ({
        name,
        packageDigest: pushed ?? "",
        components: (name === "HDFS"
          ? ["NAMENODE", "SECONDARY_NAMENODE", "DATANODE"]
          : ["ZOOKEEPER_SERVER"]
        ).map((component) => ({ name: component })),
      })),
    };
    await stacks.pushStack({ stack: stack as never });
    await fleet.applyCluster(hdfs("one"));
    const before = await query<{ digest: string }>(db, "select digest from package");
    await fleet.applyCluster(
      hdfs("one", { configurations: { "core-site": { properties: { a: "b" } } } }),
    );
    const current = await query<{ digest: string }>(
      db,
      `select configurations_digest as digest from cluster union select topology_digest from cluster
      union select metadata_digest from cluster union select alert_definitions_digest from cluster`,
    );
    await createSample(fixture.store, {
      stages: [[{ role: planned ?? "", hosts: [fixture.hostId] }]],
    });
    await execute(db, "update stack set pushed_at = pushed_at - ?", [11 * dayMs]);
    await execute(db, "update package set created_at = created_at - ?", [11 * dayMs]);

    const unnamed = await listUnnamed(db, Date.now() - 10 * dayMs, () => false);
    const row = unnamed.find(({ digest }) => digest === again);
    assert.ok(row);
    await put("again");
    assert.equal(await deletePackage(db, row, Date.now() - 10 * dayMs), false);
    const dry = await purge(true);
    const { packages, packageBytes } = await purge();
    assert.equal(dry.packages, packages);
    const left = new Set(
      (await query<{ digest: string }>(db, "select digest from package")).map((p) => p.digest),
    );
    const documents = before.filter(
      ({ digest }) =>
        ![superseded, pushed, actions, planned, again, ...current.map((c) => c.digest)].includes(
          digest,
        ),
    );
    assert.ok(documents.length > 0, "applying again must have superseded a document");
    assert.equal(packages, BigInt(documents.length + 1));
    assert.ok(packageBytes > 10n);
    for (const { digest } of documents) assert.ok(!left.has(digest));
    assert.ok(!left.has(superseded ?? ""));
    for (const kept of [pushed, actions, planned, again, ...current.map((c) => c.digest)]) {
      assert.ok(left.has(kept ?? ""), `${kept} is named and gone`);
    }
    const [chunks] = await query<{ count: number }>(
      db,
      `select count(*) as count from package_chunk c left join package p on p.upload_id = c.upload_id
      where p.digest is null`,
    );
    assert.equal(chunks?.count, 1, "only the chunk of the package that was put twice");
  });
});

describe("PurgeRequests while work goes on", () => {
  it("should delete thousands of tasks in small steps, and let every report through meanwhile", async () => {
    const fixture = await openFixture();
    try {
      const { store, database } = fixture;
      await makePattern(store, { pattern: 1_000, perRequest: 500 });
      await multiplyHistory(database.db, { tasks: 6_000, pattern: 1_000 });
      const [{ id: newest } = { id: 0 }] = await query<{ id: number }>(
        database.db,
        "select max(request_id) as id from request",
      );
      await execute(
        database.db,
        "update request set create_time = create_time - ?, end_time = end_time - ? where request_id <= ?",
        [20 * dayMs, 20 * dayMs, newest],
      );
      const deletes: number[] = [];
      store.db.on("query-response", (response: unknown, sent: { sql: string }) => {
        const [result] = response as [{ affectedRows?: number }];
        if (/^\s*delete/.test(sent.sql)) deletes.push(result.affectedRows ?? 0);
      });
      let done: PurgeRequestsResponse | undefined;
      const purging = (async () => {
        for await (const answer of store.client.purgeRequests({ olderThan: tenDays })) {
          done = answer;
        }
      })();
      let worked = 0;
      let slowest = 0;
      while (done?.done !== true) {
        const began = performance.now();
        const subject = await fixture.subject(5);
        await subject.transit(TaskEvent.RELEASED);
        for (const taskId of subject.taskIds) await subject.report(TaskEvent.SUCCEEDED, taskId);
        assert.equal((await subject.request()).progressPercent, 100);
        slowest = Math.max(slowest, performance.now() - began);
        worked += 1;
      }
      await purging;
      assert.equal(done.requests, 12n);
      assert.equal(done.tasks, 6_000n);
      assert.ok(worked > 3, `only ${worked} requests ran meanwhile`);
      assert.ok(slowest < 5_000, `a request took ${slowest} ms`);
      assert.ok(deletes.length > 60);
      assert.ok(Math.max(...deletes) <= 1_000, `${Math.max(...deletes)} rows at once`);
    } finally {
      await fixture.close();
    }
  });
});
