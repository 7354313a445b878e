import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { execute } from "../database/query.js";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { createSample } from "../testing/store.js";

describe("RecordTransitions", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  it("should release tasks and give their commands, ready to send", async () => {
    const subject = await fixture.subject(2);
    const { changes, commands, version, requestStatus, staleOwner } = await subject.transit(
      TaskEvent.RELEASED,
    );
    assert.equal(staleOwner, false);
    assert.equal(requestStatus, Status.IN_PROGRESS);
    assert.deepEqual(
      changes.map((c) => [c.taskId, c.status, c.attempt, c.version, c.sessionEpoch]),
      subject.taskIds.map((id) => [id, Status.QUEUED, 1, version, fixture.sessionEpoch]),
    );
    assert.deepEqual(
      commands.map(({ taskId }) => taskId),
      subject.taskIds,
    );
    const [command] = commands;
    assert.equal(command?.role, "A");
    assert.equal(command?.roleCommand, RoleCommand.START);
    assert.equal(command?.spec?.script, "scripts/A.py");
    assert.equal(command?.spec?.timeoutMs, 5_000n);
    assert.equal(command?.configurationsDigest, "");
    assert.equal((await subject.request()).counts?.queued, 2);
    assert.deepEqual(
      (await subject.tasks()).map((task) => task.changeVersion),
      [version, version],
    );
  });

  it("should bind the commands of a cluster's request to the cluster's documents", async () => {
    const { insertId } = await execute(
      fixture.database.db,
      `insert into cluster (name, stack_name, stack_version, version, configurations_digest, topology_digest, metadata_digest)
      values ('c1', 's', '1', 1, 'conf', 'topo', 'meta')`,
    );
    const { request, taskIds } = await createSample(fixture.store, {
      stages: [[{ role: "A", hosts: [fixture.hostId] }]],
      header: { clusterId: BigInt(insertId) },
    });
    assert.equal(request?.cluster, "c1");
    const { results } = await fixture.store.client.recordTransitions({
      schedulerToken: 1n,
      requests: [
        {
          requestId: request?.requestId ?? 0n,
          transitions: taskIds.map((taskId) => ({
            taskId,
            attempt: 1,
            event: TaskEvent.RELEASED,
            sessionEpoch: fixture.sessionEpoch,
          })),
        },
      ],
    });
    const command = results[0]?.commands[0];
    assert.deepEqual(
      [command?.configurationsDigest, command?.topologyDigest, command?.metadataDigest],
      ["conf", "topo", "meta"],
    );
  });

  it("should give the commands again when a release is repeated", async () => {
    const subject = await fixture.subject(1);
    const first = await subject.transit(TaskEvent.RELEASED);
    const again = await subject.transit(TaskEvent.RELEASED);
    assert.deepEqual(again.commands, first.commands);
    assert.equal(again.changes.length, 1);
    assert.equal((await subject.request()).counts?.queued, 1);
  });

  it("should give the commands in the order in which they were asked for", async () => {
    const subject = await fixture.subject(3);
    const [first = 0n, second = 0n, third = 0n] = subject.taskIds;
    const { commands } = await subject.transit(TaskEvent.RELEASED, [second, third, first]);
    assert.deepEqual(
      commands.map(({ taskId }) => taskId),
      [second, third, first],
    );
  });

  it("should give up tasks that were not released", async () => {
    const subject = await fixture.subject(2);
    const { changes, requestStatus } = await subject.transit(TaskEvent.GIVEN_UP, undefined, {
      reason: "nobody wants it",
    });
    assert.deepEqual(
      changes.map(({ status }) => status),
      [Status.ABORTED, Status.ABORTED],
    );
    assert.equal(requestStatus, Status.ABORTED);
    const [task] = await subject.tasks();
    assert.equal(task?.reason, "nobody wants it");
    assert.ok(task?.times?.endedAt);
    const request = await subject.request();
    assert.equal(request.progressPercent, 100);
    assert.ok(request.times?.endedAt);
    const { requests } = await fixture.store.client.listUnfinished({});
    assert.ok(!requests.some(({ requestId }) => requestId === subject.requestId));
  });

  it("should change nothing for an owner whose token is lower than the request's", async () => {
    const subject = await fixture.subject(2);
    const [first = 0n, second = 0n] = subject.taskIds;
    const transit = (schedulerToken: bigint, taskId: bigint) =>
      fixture.store.client.recordTransitions({
        schedulerToken,
        requests: [
          {
            requestId: subject.requestId,
            transitions: [{ taskId, attempt: 1, event: TaskEvent.GIVEN_UP }],
            ...(schedulerToken === 4n ? { abort: { cancelled: true, reason: "stale" } } : {}),
          },
          { requestId: 999_999n, transitions: [] },
        ],
      });
    assert.equal((await transit(5n, first)).results[0]?.staleOwner, false);
    const before = await subject.request();
    const { results } = await transit(4n, second);
    assert.deepEqual(
      results.map(({ staleOwner, changes }) => [staleOwner, changes.length]),
      [
        [true, 0],
        [true, 0],
      ],
    );
    assert.deepEqual(await subject.request(), before);
    assert.equal((await transit(5n, second)).results[0]?.changes.length, 1);
  });

  it("should release nothing of a request that was aborted, even in the same part", async () => {
    const subject = await fixture.subject(2);
    const [first = 0n, second = 0n] = subject.taskIds;
    const { results } = await fixture.store.client.recordTransitions({
      schedulerToken: 1n,
      requests: [
        {
          requestId: subject.requestId,
          abort: { cancelled: true, reason: "ann changed her mind" },
          transitions: [{ taskId: first, attempt: 1, event: TaskEvent.RELEASED, sessionEpoch: 1n }],
        },
      ],
    });
    assert.deepEqual([results[0]?.changes, results[0]?.commands], [[], []]);
    const later = await subject.transit(TaskEvent.RELEASED, [second]);
    assert.deepEqual([later.changes, later.commands], [[], []]);
    const request = await subject.request();
    assert.deepEqual([request.cancelRequested, request.aborted], [true, true]);
    assert.equal(request.abortReason, "ann changed her mind");
    assert.equal(request.counts?.pending, 2);
  });

  it("should release nothing once a failure has committed that its role cannot survive", async () => {
    const subject = await fixture.subject(2, { onFailure: OnFailure.ABORT });
    const [first = 0n, second = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [first]);
    await subject.report(TaskEvent.FAILED, first, { exitCode: 1 });
    const { changes } = await subject.transit(TaskEvent.RELEASED, [second]);
    assert.deepEqual(changes, []);
    const again = await fixture.subject(2, { onFailure: OnFailure.CONTINUE });
    const [one = 0n, two = 0n] = again.taskIds;
    await again.transit(TaskEvent.RELEASED, [one]);
    await again.report(TaskEvent.FAILED, one);
    assert.equal((await again.transit(TaskEvent.RELEASED, [two])).changes.length, 1);
  });

  it("should skip a transition whose task is not as it says, and make the others", async () => {
    const subject = await fixture.subject(4);
    const [a = 0n, b = 0n, c = 0n, d = 0n] = subject.taskIds;
    const other = await fixture.subject(1);
    await subject.transit(TaskEvent.GIVEN_UP, [a]);
    const { results } = await fixture.store.client.recordTransitions({
      schedulerToken: 1n,
      requests: [
        {
          requestId: subject.requestId,
          transitions: [
            { taskId: a, attempt: 1, event: TaskEvent.RELEASED, sessionEpoch: 1n },
            { taskId: b, attempt: 2, event: TaskEvent.RELEASED, sessionEpoch: 1n },
            { taskId: c, attempt: 1, event: TaskEvent.RELEASED, sessionEpoch: 1n, hostId: 77n },
            { taskId: other.taskIds[0] ?? 0n, attempt: 1, event: TaskEvent.GIVEN_UP },
            { taskId: 987_654n, attempt: 1, event: TaskEvent.GIVEN_UP },
            { taskId: d, attempt: 1, event: TaskEvent.RELEASED, sessionEpoch: 1n },
          ],
        },
      ],
    });
    assert.deepEqual(
      results[0]?.changes.map(({ taskId }) => taskId),
      [d],
    );
    assert.equal((await other.request()).counts?.pending, 1);
  });

  it("should only remember a cancel while the task may be running", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const { changes } = await subject.transit(TaskEvent.CANCEL_REQUESTED);
    assert.deepEqual(
      changes.map(({ status, cancelRequested }) => [status, cancelRequested]),
      [[Status.QUEUED, true]],
    );
    await subject.report(TaskEvent.CANCELLED);
    const [task] = await subject.tasks();
    assert.deepEqual([task?.status, task?.cancelRequested], [Status.ABORTED, false]);
  });

  it("should begin the next run when a request that is over is retried", async () => {
    const subject = await fixture.subject(2, { onFailure: OnFailure.ABORT });
    await subject.transit(TaskEvent.RELEASED);
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.report(TaskEvent.FAILED, a, { exitCode: 3, startedAtMs: 5n, endedAtMs: 9n });
    await subject.report(TaskEvent.SUCCEEDED, b);
    assert.equal((await subject.request()).progressPercent, 100);
    const { changes } = await subject.transit(TaskEvent.RETRIED, [a]);
    assert.deepEqual(
      changes.map(({ status, attempt }) => [status, attempt]),
      [[Status.PENDING, 2]],
    );
    const request = await subject.request();
    assert.equal(request.run, 2);
    assert.ok(request.progressPercent < 100);
    assert.equal(request.times?.endedAt, undefined);
    const { attempts } = await fixture.store.client.getTask({ taskId: a });
    assert.deepEqual(
      attempts.map((x) => [x.attempt, x.status, x.exitCode, x.startedAtMs, x.endedAtMs]),
      [[1, Status.FAILED, 3, 5n, 9n]],
    );
    await subject.transit(TaskEvent.RELEASED, [a], { attempt: 2 });
    await subject.report(TaskEvent.SUCCEEDED, a, { attempt: 2 });
    assert.equal((await subject.request()).status, Status.COMPLETED);
  });

  it("should hold what failed until a person says what becomes of it", async () => {
    const subject = await fixture.subject(3, { onFailure: OnFailure.HOLD });
    await subject.transit(TaskEvent.RELEASED);
    const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
    await subject.report(TaskEvent.FAILED, a);
    await subject.report(TaskEvent.TIMED_OUT, b);
    await subject.report(TaskEvent.FAILED, c, { reason: "it broke" });
    assert.equal((await subject.request()).status, Status.HOLDING_FAILED);
    await subject.transit(TaskEvent.RESOLVED_RETRY, [a]);
    await subject.transit(TaskEvent.RESOLVED_SKIP, [b]);
    await subject.transit(TaskEvent.RESOLVED_ABORT, [c], { reason: "given up" });
    assert.deepEqual(
      (await subject.tasks()).map(({ status, attempt, reason }) => [status, attempt, reason]),
      [
        [Status.PENDING, 2, ""],
        [Status.TIMEDOUT, 1, ""],
        [Status.ABORTED, 1, "given up: it broke"],
      ],
    );
  });

  it("should refuse an event that an agent alone can know", async () => {
    const subject = await fixture.subject(1);
    await assert.rejects(
      subject.transit(TaskEvent.SUCCEEDED),
      (error) =>
        error instanceof ConnectError &&
        error.code === Code.InvalidArgument &&
        /transitions\.event "SUCCEEDED"/.test(error.message),
    );
  });
});
