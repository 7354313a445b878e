import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { openTransaction } from "../database/open-transaction.js";
import { execute } from "../database/query.js";
import { createBindings } from "../store/bindings.js";
import { findByKey } from "../store/insert-request.js";
import { type ComponentFixture, openComponentFixture } from "../testing/component-fixture.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { rejects } from "../testing/rejects.js";
import {
  asynchronous,
  createReleased,
  createSample,
  openHosts,
  openSession,
  requestParts,
  type SampleRequest,
  startStore,
  type TestStore,
  wholeOf,
} from "../testing/store.js";
import { untilBlocked } from "../testing/until-blocked.js";
import { createRequest } from "./create-request.js";

/** Another scheduler takes the lease. */
const leaseTaken = `insert into lease (name, holder, token, counter, duration_ms, address, renewed_at)
  values ('scheduler', 's/2', 2, 1, 6000, '', 0)`;

describe("releases with CreateRequest", () => {
  let database: TestDatabase;
  let store: TestStore;
  let hostOf: Awaited<ReturnType<typeof openHosts>>;
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url);
    hostOf = await openHosts(store, ["h1", "h2"]);
  });
  after(async () => {
    await store?.stop();
    await database?.close();
  });

  /** Two tasks each of A on h1 and h2, then B on h1. */
  const sample = (more: Partial<SampleRequest> = {}): SampleRequest => {
    const [h1, h2] = [hostOf("h1").hostId, hostOf("h2").hostId];
    return {
      stages: [[{ role: "A", hosts: [h1, h2, h1, h2] }], [{ role: "B", hosts: [h1] }]],
      ...more,
    };
  };
  const release = (task: number, host: string) => ({
    task,
    sessionEpoch: hostOf(host).sessionEpoch,
  });
  /** All that is stored of a request, but for what is another one's each time. */
  const storedOf = async (requestId: bigint) => {
    const { request, stages } = await store.client.getRequest({ requestId });
    const { tasks } = await store.client.listTasks({ requestId });
    const columns = "session_epoch, binding_id, open_host_id, cancel_requested, receive_time";
    const [rows] = await store.db.raw(
      `select ${columns}, queue_time > 0 as queued from host_role_command where request_id = ? order by task_id`,
      [Number(requestId)],
    );
    const none = { requestId: 0n, times: undefined, version: 0n };
    return {
      request: { ...request, ...none, idempotencyKey: "", ageMs: 0n },
      stages: stages.map((stage) => ({ ...stage, ...none })),
      tasks: tasks.map((task) => ({
        ...task,
        ...none,
        taskId: 0n,
        changeVersion: 0n,
        queuedAtMs: 0n,
      })),
      rows,
    };
  };

  it("should store what RecordTransitions makes of tasks that are released", async () => {
    const { request, taskIds, commands } = await createReleased(store, sample(), [
      release(1, "h2"),
      release(0, "h1"),
    ]);
    const made = await createSample(store, sample());
    const later = await store.client.recordTransitions({
      schedulerToken: 1n,
      requests: [
        {
          requestId: made.request?.requestId ?? 0n,
          transitions: [1, 0].map((place) => ({
            taskId: made.taskIds[place] ?? 0n,
            attempt: 1,
            event: TaskEvent.RELEASED,
            ...hostOf(place === 1 ? "h2" : "h1"),
          })),
        },
      ],
    });
    const requestId = request?.requestId ?? 0n;
    assert.deepEqual(await storedOf(requestId), await storedOf(made.request?.requestId ?? 0n));
    assert.deepEqual([request?.counts?.queued, request?.counts?.pending], [2, 3]);
    assert.deepEqual(
      commands.map(({ taskId }) => taskId),
      [taskIds[1], taskIds[0]],
    );
    const shape = (all: typeof commands) =>
      all.map((command) => ({ ...command, taskId: 0n, requestId: 0n }));
    assert.deepEqual(shape(commands), shape(later.results[0]?.commands ?? []));
    assert.ok(commands.every((command) => command.requestId === requestId));
  });

  it("should tell who watches the request from its first version on, and take reports", async () => {
    const { request, taskIds } = await createReleased(store, sample(), [release(0, "h1")]);
    const requestId = request?.requestId ?? 0n;
    assert.equal(request?.version, 1n);
    const { tasks } = await store.client.listTasks({ requestId, changedAfterVersion: 0n });
    assert.equal(tasks[0]?.status, Status.QUEUED);
    assert.equal(tasks[0]?.changeVersion, 1n);
    const stopping = new AbortController();
    const { signal } = stopping;
    for await (const seen of store.client.watchRequest({ requestId }, { signal })) {
      assert.equal(seen.request?.counts?.queued, 1);
      break;
    }
    const report = { taskId: taskIds[0] ?? 0n, attempt: 1, ...hostOf("h1") };
    await store.client.recordReports({ reports: [{ ...report, event: TaskEvent.SUCCEEDED }] });
    const { request: now } = await store.client.getRequest({ requestId });
    const { queued, pending, completed } = now?.counts ?? {};
    assert.deepEqual([queued, pending, completed], [0, 4, 1]);
  });

  it("should release nothing for a scheduler that another one has replaced", async () => {
    await execute(database.db, leaseTaken, []);
    try {
      const old = await createReleased(store, sample(), [release(0, "h1")]);
      assert.deepEqual([old.created, old.request?.counts?.pending], [true, 5]);
      assert.deepEqual([old.taskIds.length, old.commands], [5, []]);
      const current = await createReleased(store, sample({ token: 2n }), [release(0, "h1")]);
      assert.equal(current.commands.length, 1);
    } finally {
      await execute(database.db, "delete from lease", []);
    }
  });

  it("should leave a task PENDING that names no session", async () => {
    const { request, commands } = await createReleased(store, sample(), [{ task: 0 }]);
    assert.deepEqual([request?.counts?.pending, commands], [5, []]);
  });

  it("should give no commands when the request is there already", async () => {
    const same = sample({ key: "same" });
    await createReleased(store, same, [release(0, "h1")]);
    const again = await createReleased(store, same, [release(0, "h1")]);
    assert.deepEqual([again.created, again.taskIds, again.commands], [false, [], []]);
  });

  it("should have its tasks read anew when it met its own commit", async () => {
    const own = sample({ key: "own" });
    const made = await createReleased(store, own, [release(0, "h1")]);
    const ids = { take: async () => made.taskIds.map(Number) };
    for (const [releases, told] of [
      [[release(0, "h1")], []],
      [[], made.taskIds.map(Number)],
    ] as const) {
      const parts = asynchronous([wholeOf(requestParts(own), [...releases])]);
      const { signal } = new AbortController();
      const again = await createRequest(store.db, ids, createBindings(), parts, Date.now, signal);
      assert.deepEqual([again.created, again.taskIds, again.stored], [true, told, undefined]);
    }
  });

  it("should answer that a request was made whose commands cannot be read", async () => {
    // As a connection does that breaks then.
    const breaks = ({ sql }: { sql: string }) => {
      if (sql.includes("from execution_command")) throw new Error("the connection broke");
    };
    store.db.on("query", breaks);
    try {
      const made = await createReleased(store, sample(), [release(0, "h1")]);
      assert.deepEqual([made.created, made.taskIds, made.commands], [true, [], []]);
      assert.equal(made.request?.counts?.queued, 1);
    } finally {
      store.db.removeListener("query", breaks);
    }
  });

  it("should store nothing once the call has ended", async () => {
    const late = sample({ key: "late" });
    const parts = asynchronous([wholeOf(requestParts(late), [release(0, "h1")])]);
    const ids = { take: async () => [900_001, 900_002, 900_003, 900_004, 900_005] };
    const ended = AbortSignal.abort(new Error("the call has ended"));
    const making = createRequest(store.db, ids, createBindings(), parts, Date.now, ended);
    await assert.rejects(making, /the call has ended/);
    assert.equal(await findByKey(database.db, "late"), undefined);
  });

  it("should move its tasks to the next session of their host, which gets their commands", async () => {
    const { taskIds } = await createReleased(store, sample(), [release(1, "h2")]);
    const { commands, sessionEpoch } = await openSession(store, "h2");
    assert.ok(sessionEpoch > hostOf("h2").sessionEpoch);
    assert.ok(commands.some(({ taskId }) => taskId === taskIds[1]));
  });

  it("should refuse what is no task, or comes twice", async () => {
    for (const releases of [
      [release(5, "h1")],
      [release(-1, "h1")],
      [release(0, "h1"), release(0, "h1")],
    ]) {
      const made = createReleased(store, sample(), releases);
      await rejects(made, Code.InvalidArgument, /whole\.releases\.task/);
    }
  });

  it("should leave a manual step PENDING", async () => {
    const manual = { role: "STEP", hosts: [hostOf("h1").hostId], manual: true };
    const { request } = await createReleased(store, sample({ stages: [[manual]] }), [
      release(0, "h1"),
    ]);
    assert.equal(request?.counts?.pending, 1);
  });
});

describe("releases with CreateRequest of a cluster's request", () => {
  let fixture: ComponentFixture;
  before(async () => {
    fixture = await openComponentFixture();
  });
  after(() => fixture?.close());

  it("should bind the commands to the cluster's documents", async () => {
    const { store, host, clusterId } = fixture;
    const { hostId, sessionEpoch } = host("h1");
    const stages = [[{ role: "DATANODE", hosts: [hostId], roleCommand: RoleCommand.START }]];
    const made = { stages, header: { clusterId } };
    const { commands } = await createReleased(store, made, [{ task: 0, sessionEpoch }]);
    assert.match(commands[0]?.configurationsDigest ?? "", /^[0-9a-f]{64}$/);
    assert.match(commands[0]?.topologyDigest ?? "", /^[0-9a-f]{64}$/);
  });

  it("should release nothing when another scheduler takes the lease while it waits for a component", async () => {
    const { store, host, clusterId, database } = fixture;
    const { hostId, sessionEpoch } = host("h1");
    const stages = [[{ role: "DATANODE", hosts: [hostId], roleCommand: RoleCommand.START }]];
    const other = await openTransaction(database.db);
    await other.trx.send([
      { sql: "select * from host_component where host_name = 'h1' for update", bindings: [] },
    ]);
    const sample = { stages, header: { clusterId } };
    const making = createReleased(store, sample, [{ task: 0, sessionEpoch }]);
    try {
      await untilBlocked(database.db);
      await execute(database.db, leaseTaken, []);
    } finally {
      await other.close();
    }
    const { request, taskIds, commands } = await making;
    await execute(database.db, "delete from lease", []);
    assert.deepEqual([request?.counts?.pending, request?.counts?.queued], [1, 0]);
    assert.deepEqual([taskIds.length, commands], [1, []]);
  });
});
