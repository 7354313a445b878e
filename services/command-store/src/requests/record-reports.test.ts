import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { Guarantee, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { roundTrips } from "../testing/explained.js";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { openSession } from "../testing/store.js";

describe("RecordReports", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  /** A request with one task that was released. */
  async function released(options?: Parameters<Fixture["subject"]>[1]) {
    const subject = await fixture.subject(1, options);
    await subject.transit(TaskEvent.RELEASED);
    return subject;
  }

  it("should move a task as each event says", async () => {
    const cases: [TaskEvent, Status][] = [
      [TaskEvent.STARTED, Status.IN_PROGRESS],
      [TaskEvent.SUCCEEDED, Status.COMPLETED],
      [TaskEvent.FAILED, Status.FAILED],
      [TaskEvent.TIMED_OUT, Status.TIMEDOUT],
      [TaskEvent.INTERRUPTED, Status.FAILED],
      [TaskEvent.NEVER_STARTED, Status.PENDING],
      [TaskEvent.CANCELLED, Status.ABORTED],
    ];
    for (const [event, status] of cases) {
      const subject = await released();
      const { results, changes } = await subject.report(event);
      assert.equal(results[0]?.outcome, ReportOutcome.RECORDED);
      assert.deepEqual(
        changes.map((change) => change.status),
        [status],
      );
      assert.deepEqual(
        (await subject.tasks()).map((task) => task.status),
        [status],
        TaskEvent[event],
      );
    }
  });

  it("should take two round trips for a task that was released here, as its release does", async () => {
    const subject = await fixture.subject(1);
    // The command of a task that has its own is read once more, after the commit.
    const trips = async (work: () => Promise<unknown>) =>
      (await roundTrips(fixture.store.db, work)).filter((sql) => !/execution_command/.test(sql))
        .length;
    assert.equal(await trips(() => subject.transit(TaskEvent.RELEASED)), 2);
    assert.equal(await trips(() => subject.report(TaskEvent.STARTED)), 2);
    assert.equal(await trips(() => subject.report(TaskEvent.SUCCEEDED)), 2);
  });

  it("should not change a request of which all was said before", async () => {
    const [repeated, moved] = [await released(), await released()];
    await repeated.report(TaskEvent.STARTED);
    const { version } = await repeated.request();
    const { hostId, sessionEpoch } = fixture;
    const reports = [repeated, moved].map(({ taskIds: [taskId = 0n] }) => ({
      ...{ taskId, attempt: 1, hostId, sessionEpoch, event: TaskEvent.STARTED },
    }));
    const { results } = await fixture.store.client.recordReports({ reports });
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      [ReportOutcome.KNOWN, ReportOutcome.RECORDED],
    );
    assert.equal((await repeated.request()).version, version);
  });

  it("should find tasks that are in other requests than before: an older database was restored", async () => {
    const [before, after] = [await released(), await released()];
    const [taskId] = after.taskIds;
    const numbers = [before, after].map(({ requestId }) => Number(requestId));
    // Keys are made of the request's: the task goes to the other request, and that one's away.
    const { db } = fixture.database;
    await db.raw("delete from host_role_command where request_id = ?", [numbers[0] ?? 0]);
    await db.raw("update host_role_command set request_id = ? where task_id = ?", [
      numbers[0] ?? 0,
      Number(taskId),
    ]);
    const { results } = await after.report(TaskEvent.SUCCEEDED);
    assert.equal(results[0]?.outcome, ReportOutcome.RECORDED);
    const request = await before.request();
    assert.equal(request.status, Status.COMPLETED);
    const gone = await fixture.store.client.recordReports({
      reports: [
        {
          ...{ taskId: before.taskIds[0] ?? 0n, attempt: 1, event: TaskEvent.SUCCEEDED },
          ...{ hostId: fixture.hostId, sessionEpoch: fixture.sessionEpoch },
        },
      ],
    });
    assert.match(gone.results[0]?.reason ?? "", /^there is no task/);
  });

  it("should keep what the agent says about the end", async () => {
    const subject = await released();
    const said = { startedAtMs: 1_000n, receivedAtMs: 900n };
    await subject.report(TaskEvent.STARTED, undefined, said);
    const [started] = await subject.tasks();
    assert.deepEqual([started?.receivedAtMs, started?.reportedAtMs], [900n, 0n]);
    const before = Date.now();
    const { results } = await subject.report(TaskEvent.FAILED, undefined, {
      exitCode: 7,
      ...said,
      endedAtMs: 2_000n,
      reason: "it broke",
      lengths: [{ stream: OutputStream.STDOUT, length: 5n, written: 5n }],
      output: [{ stream: OutputStream.STDOUT, offset: 0n, data: Buffer.from("hello") }],
      restEmpty: true,
    });
    assert.deepEqual(
      results[0]?.stored.map(({ stream, length }) => [stream, length]),
      [[OutputStream.STDOUT, 5n]],
    );
    const [task] = await subject.tasks();
    assert.equal(task?.exitCode, 7);
    assert.equal(task?.reason, "it broke");
    assert.deepEqual([task?.stdoutLength, task?.stderrLength], [5n, 0n]);
    assert.equal(task?.times?.startedAt?.seconds, 1n);
    assert.equal(task?.times?.endedAt?.seconds, 2n);
    assert.equal(task.receivedAtMs, 900n);
    const reportedAt = Number(task.reportedAtMs);
    assert.ok(reportedAt >= before && reportedAt <= Date.now(), `${reportedAt}`);
  });

  it("should know a repeated report, and let a final status stand", async () => {
    const subject = await released();
    await subject.report(TaskEvent.SUCCEEDED);
    const before = await subject.request();
    for (const event of [TaskEvent.SUCCEEDED, TaskEvent.FAILED, TaskEvent.STARTED]) {
      const { results, changes } = await subject.report(event);
      assert.equal(results[0]?.outcome, ReportOutcome.KNOWN);
      assert.deepEqual(changes, []);
    }
    assert.deepEqual(await subject.request(), before);
  });

  it("should take reports in whatever order they come, in one batch or in several", async () => {
    for (const together of [true, false]) {
      const subject = await released();
      const [taskId = 0n] = subject.taskIds;
      const { hostId, sessionEpoch } = fixture;
      const reports = [TaskEvent.SUCCEEDED, TaskEvent.STARTED].map((event) => {
        return { taskId, attempt: 1, hostId, sessionEpoch, event };
      });
      const batches = together ? [reports] : reports.map((report) => [report]);
      const outcomes: ReportOutcome[] = [];
      for (const batch of batches) {
        const { results } = await fixture.store.client.recordReports({ reports: batch });
        outcomes.push(...results.map(({ outcome }) => outcome));
      }
      assert.deepEqual(outcomes, [ReportOutcome.RECORDED, ReportOutcome.KNOWN]);
      assert.equal((await subject.tasks())[0]?.status, Status.COMPLETED);
      assert.equal((await subject.request()).counts?.completed, 1);
    }
  });

  it("should know a report of a former attempt, and let it correct that attempt alone", async () => {
    const subject = await released();
    const [taskId = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.DEADLINE_PASSED);
    await subject.transit(TaskEvent.RETRIED);
    const { results, changes } = await subject.report(TaskEvent.SUCCEEDED, taskId, {
      exitCode: 0,
      endedAtMs: 9n,
    });
    assert.equal(results[0]?.outcome, ReportOutcome.KNOWN);
    assert.deepEqual(changes, []);
    await subject.report(TaskEvent.FAILED, taskId, { exitCode: 1 });
    const { task, attempts } = await fixture.store.client.getTask({ taskId });
    assert.deepEqual([task?.status, task?.attempt], [Status.PENDING, 2]);
    assert.deepEqual(
      attempts.map(({ attempt, status, exitCode }) => [attempt, status, exitCode]),
      [[1, Status.COMPLETED, 0]],
    );
  });

  it("should refuse what cannot be, saying why, and record the rest of the batch", async () => {
    const subject = await fixture.subject(4);
    await subject.transit(TaskEvent.RELEASED, subject.taskIds.slice(0, 3));
    const [a = 0n, b = 0n, c = 0n, pending = 0n] = subject.taskIds;
    const { hostId, sessionEpoch } = fixture;
    const base = { attempt: 1, hostId, sessionEpoch, event: TaskEvent.SUCCEEDED };
    const { results } = await fixture.store.client.recordReports({
      reports: [
        { ...base, taskId: a },
        { ...base, taskId: 987_654n },
        { ...base, taskId: b, hostId: 99n },
        { ...base, taskId: b, attempt: 2 },
        { ...base, taskId: b, event: TaskEvent.RELEASED },
        { ...base, taskId: b, sessionEpoch: sessionEpoch + 1n },
        { ...base, taskId: pending },
        {
          ...base,
          taskId: b,
          output: [{ stream: 9 as OutputStream, offset: 0n, data: Buffer.from("x") }],
        },
        { ...base, taskId: c },
      ],
    });
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      [
        ReportOutcome.RECORDED,
        ...Array.from({ length: 7 }, () => ReportOutcome.REFUSED),
        ReportOutcome.RECORDED,
      ],
    );
    const reasons = [
      /no task 987654/,
      /host/,
      /no attempt 2/,
      /cannot report RELEASED/,
      /session/,
      /PENDING/,
      /stream 9/,
    ];
    for (const [i, reason] of reasons.entries()) assert.match(results[i + 1]?.reason ?? "", reason);
    assert.equal((await subject.request()).counts?.completed, 2);
  });

  it("should answer STALE_SESSION to a report on a session that another one replaced", async () => {
    const first = await openSession(fixture.store, "moved");
    const { hostId } = first;
    const subject = await fixture.subject([[{ role: "A", hosts: [hostId] }]]);
    await subject.transit(TaskEvent.RELEASED, undefined, {
      hostId,
      sessionEpoch: first.sessionEpoch,
    });
    const second = await openSession(fixture.store, "moved", {
      takeoverEpoch: first.sessionEpoch,
    });
    const report = (sessionEpoch: bigint) =>
      subject.report(TaskEvent.SUCCEEDED, undefined, { hostId, sessionEpoch });
    const stale = await report(first.sessionEpoch);
    assert.equal(stale.results[0]?.outcome, ReportOutcome.STALE_SESSION);
    assert.deepEqual(stale.changes, []);
    const fresh = await report(second.sessionEpoch);
    assert.equal(fresh.results[0]?.outcome, ReportOutcome.RECORDED);
  });

  it("should take several reports about one task in one batch", async () => {
    const subject = await released();
    const [taskId = 0n] = subject.taskIds;
    const { hostId, sessionEpoch } = fixture;
    const base = { taskId, attempt: 1, hostId, sessionEpoch };
    const text = (offset: bigint, data: string) => [
      { stream: OutputStream.STDOUT, offset, data: Buffer.from(data) },
    ];
    const { results, changes } = await fixture.store.client.recordReports({
      reports: [
        { ...base, event: TaskEvent.STARTED, output: text(0n, "one ") },
        { ...base, event: TaskEvent.SUCCEEDED, output: text(4n, "two") },
        { ...base, event: TaskEvent.SUCCEEDED, output: text(4n, "two") },
      ],
    });
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      [ReportOutcome.RECORDED, ReportOutcome.RECORDED, ReportOutcome.KNOWN],
    );
    assert.equal(results[2]?.stored[0]?.length, 7n);
    assert.deepEqual(
      changes.map(({ status }) => status),
      [Status.COMPLETED],
    );
  });

  it("should correct an UNKNOWN task, its counters and its request, even when that is over", async () => {
    const subject = await released();
    await subject.report(TaskEvent.STARTED);
    await subject.transit(TaskEvent.DEADLINE_PASSED, undefined, { reason: "no word in time" });
    const over = await subject.request();
    assert.deepEqual([over.status, over.progressPercent], [Status.UNKNOWN, 100]);
    await subject.report(TaskEvent.SUCCEEDED);
    const corrected = await subject.request();
    assert.equal(corrected.status, Status.COMPLETED);
    assert.deepEqual([corrected.counts?.unknown, corrected.counts?.completed], [0, 1]);
    assert.ok(corrected.version > over.version);
    const { stages } = await fixture.store.client.getRequest({ requestId: subject.requestId });
    assert.equal(stages[0]?.status, Status.COMPLETED);
  });

  it("should revive nothing of a request that is over", async () => {
    const subject = await released();
    await subject.transit(TaskEvent.DEADLINE_PASSED);
    await subject.report(TaskEvent.NEVER_STARTED);
    assert.deepEqual(
      (await subject.tasks()).map(({ status }) => status),
      [Status.ABORTED],
    );
  });

  it("should try an interrupted command again under AT_LEAST_ONCE only, and not once a cancel was asked for", async () => {
    const again = { guarantee: Guarantee.AT_LEAST_ONCE, onFailure: OnFailure.CONTINUE };
    const retried = await released(again);
    await retried.report(TaskEvent.INTERRUPTED);
    const [task] = await retried.tasks();
    assert.deepEqual([task?.status, task?.attempt], [Status.PENDING, 2]);
    const cancelled = await released(again);
    await cancelled.transit(TaskEvent.CANCEL_REQUESTED);
    await cancelled.report(TaskEvent.INTERRUPTED);
    const [ended] = await cancelled.tasks();
    assert.deepEqual([ended?.status, ended?.attempt], [Status.FAILED, 1]);
  });
});
