import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { Status } from "@howdah/proto/howdah/v1/status";
import { execute, query } from "../database/query.js";
import { openTestDatabase, type TestDatabase } from "../testing/database.js";
import { rejects } from "../testing/rejects.js";
import {
  asynchronous,
  createSample,
  digestOf,
  openSession,
  requestParts,
  startStore,
  type TestStore,
  wholeOf,
} from "../testing/store.js";
import { purgeAbandoned } from "./purge-abandoned.js";

describe("CreateRequest", () => {
  let database: TestDatabase;
  let store: TestStore;
  let other: TestStore;
  let host: bigint;
  before(async () => {
    database = await openTestDatabase();
    store = await startStore(database.url);
    other = await startStore(database.url);
    host = (await openSession(store, "h1")).hostId;
  });
  after(async () => {
    await store?.stop();
    await other?.stop();
    await database?.close();
  });

  const hosts = (count: number) => Array.from({ length: count }, () => host);
  const rowsOf = async (requestId: bigint) => {
    const [row] = await query<{ n: number }>(
      database.db,
      "select count(*) as n from host_role_command where request_id = ?",
      [requestId],
    );
    return row?.n;
  };

  it("should store a request of one chunk", async () => {
    const { request, created, taskIds } = await createSample(store, {
      key: "one chunk",
      stages: [[{ role: "A", hosts: hosts(2) }], [{ role: "B", hosts: hosts(1) }]],
    });
    assert.equal(created, true);
    assert.equal(taskIds.length, 3);
    assert.equal(request?.status, Status.PENDING);
    assert.equal(request?.counts?.pending, 3);
    assert.equal(request?.stageCount, 2);
    assert.equal(request?.run, 1);
    const { tasks } = await store.client.listTasks({ requestId: request?.requestId ?? 0n });
    assert.deepEqual(
      tasks.map(({ taskId, stageId, role, hostName, attempt }) => [
        taskId,
        stageId,
        role,
        hostName,
        attempt,
      ]),
      [
        [taskIds[0], 0, "A", "h1", 1],
        [taskIds[1], 0, "A", "h1", 1],
        [taskIds[2], 1, "B", "h1", 1],
      ],
    );
    const { task, command } = await store.client.getTask({ taskId: taskIds[0] ?? 0n });
    assert.equal(task?.timeoutMs, 5_000n);
    assert.equal(command?.script, "scripts/A.py");
    assert.deepEqual(command?.commandParams, { shared: "yes" });
  });

  it("should keep a command for each task, also when all of it is shared", async () => {
    const { taskIds } = await createSample(store, {
      stages: [
        [
          { role: "A", hosts: hosts(2), bare: true },
          { role: "B", hosts: hosts(1) },
        ],
      ],
    });
    const rows = await query<{ taskId: number }>(
      database.db,
      "select task_id as taskId from execution_command where task_id in (?) order by task_id",
      [taskIds.map(Number)],
    );
    assert.deepEqual(
      rows.map(({ taskId }) => BigInt(taskId)),
      taskIds,
    );
    const { task, command } = await store.client.getTask({ taskId: taskIds[0] ?? 0n });
    assert.deepEqual([task?.timeoutMs, command?.script], [900_000n, "scripts/A.py"]);
  });

  it("should say how old it is", async () => {
    const { request } = await createSample(store, { stages: [[{ role: "A", hosts: hosts(1) }]] });
    const requestId = request?.requestId ?? 0n;
    await execute(
      database.db,
      "update request set create_time = create_time - 5000 where request_id = ?",
      [Number(requestId)],
    );
    const { request: older } = await store.client.getRequest({ requestId });
    const age = Number(older?.ageMs ?? 0n);
    assert.ok(age >= 5_000 && age < 60_000, `${age}`);
  });

  it("should give back which roles run in the background", async () => {
    const one = (role: string, background: boolean) => ({ role, hosts: hosts(1), background });
    const { request } = await createSample(store, { stages: [[one("A", false), one("B", true)]] });
    const { stages } = await store.client.getRequest({ requestId: request?.requestId ?? 0n });
    assert.deepEqual(
      stages[0]?.roles.map(({ role, background }) => [role, background]),
      [
        ["A", false],
        ["B", true],
      ],
    );
  });

  it("should give back which roles wait for which, and refuse those that wait for ever", async () => {
    const one = (role: string, blockers: number[]) => ({ role, hosts: hosts(1), blockers });
    const { request } = await createSample(store, {
      stages: [[one("A", []), one("B", [0]), one("C", [0, 1])]],
    });
    const { stages } = await store.client.getRequest({ requestId: request?.requestId ?? 0n });
    assert.deepEqual(
      stages[0]?.roles.map(({ role, blockers }) => [role, blockers]),
      [
        ["A", []],
        ["B", [0]],
        ["C", [0, 1]],
      ],
    );
    const refused = async (roles: ReturnType<typeof one>[], message: RegExp) => {
      await rejects(createSample(store, { stages: [roles] }), Code.InvalidArgument, message);
    };
    await refused([one("A", [1])], /blockers "1 of 0\/0" is no role of its stage/);
    await refused([one("A", [-1])], /is no role of its stage/);
    await refused([one("A", [0])], /wait for each other/);
    await refused([one("A", []), one("B", [2]), one("C", [1])], /"of 0\/1,2" wait for each other/);
  });

  it("should store a request of several chunks, invisible until its commit", async () => {
    const sample = { key: "chunks", stages: [[{ role: "A", hosts: hosts(25) }]], chunk: 10 };
    const all = [...requestParts(sample)];
    let seen: unknown;
    async function* stream() {
      for (const part of all) {
        if (part.part.case === "commit") {
          for (;;) {
            // Two chunks are written before the third is known to be the last.
            const rows = await query<{ n: number }>(
              database.db,
              "select count(*) as n from host_role_command t join request r using (request_id) where r.ready = 0",
            );
            if (rows[0]?.n === 20) break;
          }
          seen = await store.client.findRequest({
            idempotencyKey: "chunks",
            contentDigest: digestOf("chunks"),
          });
        }
        yield part;
      }
    }
    const { request, taskIds, created } = await store.client.createRequest(stream());
    assert.equal((seen as { request?: unknown }).request, undefined);
    assert.equal(created, true);
    assert.equal(taskIds.length, 25);
    assert.deepEqual(
      [...taskIds].sort((a, b) => Number(a - b)),
      taskIds,
    );
    assert.equal(request?.counts?.total, 25);
    assert.equal(await rowsOf(request?.requestId ?? 0n), 25);
  });

  it("should make a request anew whose stream broke off", async () => {
    const sample = { key: "broken", stages: [[{ role: "A", hosts: hosts(30) }]], chunk: 10 };
    const parts = [...requestParts(sample)].slice(0, -1);
    await assert.rejects(
      store.client.createRequest(asynchronous(parts)),
      (error) =>
        error instanceof ConnectError &&
        error.code === Code.InvalidArgument &&
        /before the commit/.test(error.message),
    );
    const { request, created, taskIds } = await createSample(other, sample);
    assert.equal(created, true);
    assert.equal(taskIds.length, 30);
    assert.equal(await rowsOf(request?.requestId ?? 0n), 30);
    const left = await query(database.db, "select request_id from request where ready = 0");
    assert.deepEqual(left, []);
  });

  it("should take a request in one message, also after its stream broke off", async () => {
    const sample = { key: "whole", stages: [[{ role: "A", hosts: hosts(30) }]], chunk: 10 };
    const parts = [...requestParts(sample)];
    await assert.rejects(store.client.createRequest(asynchronous(parts.slice(0, -1))));
    const whole = wholeOf(parts);
    const { request, created, taskIds } = await store.client.createRequest(asynchronous([whole]));
    assert.deepEqual([created, taskIds.length, request?.counts?.pending], [true, 30, 30]);
    assert.equal(await rowsOf(request?.requestId ?? 0n), 30);
    const { request: read } = await store.client.getRequest({
      requestId: request?.requestId ?? 0n,
    });
    assert.deepEqual({ ...read, ageMs: 0n }, { ...request, ageMs: 0n });
    const again = await other.client.createRequest(asynchronous([whole]));
    assert.deepEqual([again.created, again.request?.requestId], [false, request?.requestId]);
    await rejects(
      store.client.createRequest(asynchronous([parts[0] ?? whole, whole])),
      Code.InvalidArgument,
      /came twice/,
    );
  });

  it("should delete what was abandoned an hour ago", async () => {
    const sample = { key: "abandoned", stages: [[{ role: "A", hosts: hosts(30) }]], chunk: 10 };
    const parts = [...requestParts(sample)].slice(0, -1);
    await assert.rejects(store.client.createRequest(asynchronous(parts)));
    assert.equal(await purgeAbandoned(database.db, Date.now()), 0);
    assert.equal(await purgeAbandoned(database.db, Date.now() + 3_700_000), 1);
    assert.deepEqual(
      await query(database.db, "select request_id from request where ready = 0"),
      [],
    );
  });

  it("should return the stored request for the same key and content", async () => {
    const sample = { key: "twice", stages: [[{ role: "A", hosts: hosts(1) }]] };
    const first = await createSample(store, sample);
    const second = await createSample(other, sample);
    assert.equal(second.created, false);
    assert.equal(second.request?.requestId, first.request?.requestId);
    const found = await other.client.findRequest({
      idempotencyKey: "twice",
      contentDigest: digestOf("twice"),
    });
    assert.equal(found.request?.requestId, first.request?.requestId);
  });

  it("should refuse the same key with another content, and name the request that has it", async () => {
    const sample = { key: "taken", stages: [[{ role: "A", hosts: hosts(1) }]] };
    const first = await createSample(store, sample);
    const taken = (error: unknown) =>
      error instanceof ConnectError &&
      error.code === Code.AlreadyExists &&
      error.message.includes(`request ${first.request?.requestId}`);
    await assert.rejects(createSample(store, { ...sample, content: "another" }), taken);
    await assert.rejects(
      store.client.findRequest({ idempotencyKey: "taken", contentDigest: digestOf("another") }),
      taken,
    );
  });

  it("should make one request when two stores are asked for the same at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const sample = { key: `race ${round}`, stages: [[{ role: "A", hosts: hosts(3) }]] };
      const answers = await Promise.all(
        [store, other, store, other].map((one) => createSample(one, sample)),
      );
      const ids = new Set(answers.map(({ request }) => request?.requestId));
      assert.equal(ids.size, 1);
      assert.equal(answers.filter(({ created }) => created).length, 1);
      assert.equal(await rowsOf([...ids][0] ?? 0n), 3);
    }
  });

  it("should tell a call whose request another call makes anew to send it again", async () => {
    const sample = { key: "overtaken", stages: [[{ role: "A", hosts: hosts(30) }]], chunk: 10 };
    const parts = [...requestParts(sample)];
    async function* slow() {
      yield* parts.slice(0, -1);
      for (;;) {
        const rows = await query<{ n: number }>(
          database.db,
          "select count(*) as n from request where idempotency_key = 'overtaken'",
        );
        if (rows[0]?.n === 1) break;
      }
      await createSample(other, sample);
      yield* parts.slice(-1);
    }
    await assert.rejects(
      store.client.createRequest(slow()),
      (error) => error instanceof ConnectError && error.code === Code.Aborted,
    );
  });

  it("should refuse what is no request, naming the field", async () => {
    const one = [[{ role: "A", hosts: hosts(1) }]];
    const cases: [Parameters<typeof createSample>[1], RegExp][] = [
      [{ key: "", stages: one }, /header\.idempotency_key/],
      [{ key: "x".repeat(65), stages: one }, /header\.idempotency_key/],
      [{ key: "empty", stages: [[{ role: "A", hosts: [] }]] }, /task_count/],
      [{ key: "factor", stages: [[{ role: "A", hosts: hosts(1), factor: 2 }]] }, /success_factor/],
      [{ key: "host", stages: [[{ role: "A", hosts: [0n] }]] }, /tasks\.host_id/],
      [
        { key: "argv", stages: [[{ role: "A", hosts: hosts(1), argv: ["x".repeat(131_072)] }]] },
        /stage\.roles\.command\.argv "of 131072 bytes" is longer than 131071/,
      ],
      [
        {
          key: "role",
          stages: [
            [
              { role: "A", hosts: hosts(1) },
              { role: "B", hosts: [] },
            ],
          ],
        },
        /stage\.roles/,
      ],
    ];
    for (const [sample, field] of cases) {
      await assert.rejects(
        createSample(store, sample),
        (error) =>
          error instanceof ConnectError &&
          error.code === Code.InvalidArgument &&
          field.test(error.message),
        String(field),
      );
    }
  });

  it("should give out each task id once among replicas", async () => {
    await execute(database.db, "update id_block set next_id = next_id + 5");
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        createSample(i % 2 === 0 ? store : other, {
          stages: [[{ role: "A", hosts: hosts(300) }]],
        }),
      ),
    );
    const ids = answers.flatMap(({ taskIds }) => taskIds);
    assert.equal(new Set(ids).size, 3_000);
  });
});
