import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture, type Subject } from "../testing/fixture.js";
import { openSession } from "../testing/store.js";

describe("cancels, deadlines and late words", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  const statusesOf = async (subject: Subject) =>
    (await subject.tasks()).map(({ status, attempt }) => `${Status[status]} ${attempt}`);

  /** A request of two tasks, of which the first one's deadline has passed; it was cancelled, or aborted, and is over. */
  async function stopped(
    cancelled: boolean,
    options: Parameters<Fixture["subject"]>[1] = { onFailure: OnFailure.ABORT },
  ) {
    const subject = await fixture.subject(2, options);
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a]);
    await subject.report(TaskEvent.STARTED, a);
    await subject.mark({ abort: { cancelled, reason: "stop" } });
    await subject.transit(TaskEvent.GIVEN_UP, [b]);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [a], { reason: "no word in 10 minutes" });
    return subject;
  }

  it("should let a cancel set a flag alone, whatever the task's status, and let the agent's word follow", async () => {
    const ends: [TaskEvent, string][] = [
      [TaskEvent.CANCELLED, "ABORTED 1"],
      [TaskEvent.SUCCEEDED, "COMPLETED 1"],
      [TaskEvent.FAILED, "FAILED 1"],
      [TaskEvent.NEVER_STARTED, "ABORTED 1"],
    ];
    for (const [event, expected] of ends) {
      const subject = await fixture.subject(1);
      await subject.transit(TaskEvent.RELEASED);
      if (event !== TaskEvent.NEVER_STARTED) await subject.report(TaskEvent.STARTED);
      const [before] = await statusesOf(subject);
      const { changes } = await subject.transit(TaskEvent.CANCEL_REQUESTED);
      assert.deepEqual(
        [changes[0]?.cancelRequested, ...(await statusesOf(subject))],
        [true, before],
      );
      await subject.report(event);
      assert.deepEqual(await statusesOf(subject), [expected]);
    }
  });

  it("should make UNKNOWN, never ABORTED, of a deadline without a word, also of a task that was cancelled", async () => {
    for (const cancel of [false, true]) {
      const subject = await fixture.subject(1);
      await subject.transit(TaskEvent.RELEASED);
      if (cancel) await subject.transit(TaskEvent.CANCEL_REQUESTED);
      await subject.transit(TaskEvent.DEADLINE_PASSED, undefined, { reason: "silence" });
      const [task] = await subject.tasks();
      assert.deepEqual([task?.status, task?.reason], [Status.UNKNOWN, "silence"]);
      assert.equal(task?.cancelRequested, cancel);
      await subject.report(TaskEvent.CANCELLED);
      assert.deepEqual(await statusesOf(subject), ["ABORTED 1"]);
    }
  });

  it("should count UNKNOWN as failed for its stage", async () => {
    const subject = await fixture.subject(2, { onFailure: OnFailure.ABORT });
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a]);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [a]);
    const { changes, aborted } = await subject.transit(TaskEvent.RELEASED, [b]);
    assert.deepEqual([changes, aborted], [[], true]);
  });

  it("should tell a late word as a correction, and correct task, attempt, counters, stage and request", async () => {
    for (const cancelled of [true, false]) {
      const subject = await stopped(cancelled);
      const before = await subject.request();
      assert.deepEqual([before.progressPercent, before.counts?.unknown], [100, 1]);
      const { results, changes } = await subject.report(TaskEvent.SUCCEEDED, undefined, {
        exitCode: 0,
      });
      assert.equal(results[0]?.outcome, ReportOutcome.RECORDED);
      assert.deepEqual(
        changes.map(({ status, correction }) => [status, correction]),
        [[Status.COMPLETED, true]],
      );
      const [task] = await subject.tasks();
      assert.equal(task?.exitCode, 0);
      assert.match(task?.reason ?? "", /told late: it was UNKNOWN/);
      const request = await subject.request();
      assert.deepEqual([request.counts?.unknown, request.counts?.completed], [0, 1]);
      assert.equal(request.status, Status.ABORTED);
      assert.equal(request.run, 1);
    }
  });

  it("should tell nothing else as a correction", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const { changes } = await subject.report(TaskEvent.FAILED);
    assert.deepEqual(
      changes.map(({ correction }) => correction),
      [false],
    );
  });

  it("should revive nothing of a request that was aborted, by whatever late word and policy", async () => {
    const cases: [TaskEvent, Parameters<Fixture["subject"]>[1], string][] = [
      [TaskEvent.NEVER_STARTED, { onFailure: OnFailure.ABORT }, "ABORTED 1"],
      [TaskEvent.CANCELLED, { onFailure: OnFailure.ABORT }, "ABORTED 1"],
      [TaskEvent.FAILED, { retry: { maxAttempts: 9 } }, "FAILED 1"],
      [TaskEvent.TIMED_OUT, { retry: { maxAttempts: 9 } }, "TIMEDOUT 1"],
      [TaskEvent.FAILED, { onFailure: OnFailure.HOLD }, "FAILED 1"],
      [TaskEvent.TIMED_OUT, { onFailure: OnFailure.HOLD }, "TIMEDOUT 1"],
      [TaskEvent.FAILED, { onFailure: OnFailure.SKIP }, "SKIPPED_FAILED 1"],
    ];
    for (const [event, options, expected] of cases) {
      for (const cancelled of [true, false]) {
        const subject = await stopped(cancelled, options);
        await subject.report(event);
        assert.deepEqual(await statusesOf(subject), [expected, "ABORTED 1"], TaskEvent[event]);
        const { progressPercent, run, times } = await subject.request();
        assert.deepEqual([progressPercent, run], [100, 1]);
        assert.ok(times?.endedAt);
      }
    }
  });

  it("should send what never started again while its request goes on, in the same attempt", async () => {
    const subject = await fixture.subject(2);
    const [a = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [a]);
    await subject.report(TaskEvent.NEVER_STARTED, a);
    assert.deepEqual(await statusesOf(subject), ["PENDING 1", "QUEUED 1"]);
  });

  it("should try again what was UNKNOWN and failed, while its request goes on and attempts are left", async () => {
    const subject = await fixture.subject(2, {
      onFailure: OnFailure.CONTINUE,
      retry: { maxAttempts: 2 },
    });
    const [a = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [a]);
    await subject.report(TaskEvent.FAILED, a);
    assert.deepEqual(await statusesOf(subject), ["PENDING 2", "QUEUED 1"]);
  });

  it("should let a late COMPLETED after ABORTED stand aside", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    await subject.transit(TaskEvent.CANCEL_REQUESTED);
    await subject.report(TaskEvent.CANCELLED);
    const before = await subject.request();
    const { results, changes } = await subject.report(TaskEvent.SUCCEEDED);
    assert.deepEqual([results[0]?.outcome, changes], [ReportOutcome.KNOWN, []]);
    assert.deepEqual(await subject.request(), before);
  });

  it("should keep a former attempt UNKNOWN until its agent's word, which changes that attempt alone", async () => {
    const subject = await stopped(true);
    const [taskId = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RETRIED, [taskId], { reason: "forced by ann" });
    await subject.transit(TaskEvent.RELEASED, [taskId], { attempt: 2 });
    const before = await subject.request();
    const attempts = async () =>
      (await fixture.store.client.getTask({ taskId })).attempts.map(
        ({ attempt, status, reason }) => [attempt, Status[status], reason],
      );
    assert.deepEqual(await attempts(), [[1, "UNKNOWN", "no word in 10 minutes"]]);
    const { results, changes } = await subject.report(TaskEvent.SUCCEEDED);
    assert.deepEqual([results[0]?.outcome, changes], [ReportOutcome.KNOWN, []]);
    assert.equal((await attempts())[0]?.[1], "COMPLETED");
    assert.deepEqual(await subject.request(), before);
  });

  it("should say UNKNOWN of what a journal held that is gone, spend budget for it, and not send it again", async () => {
    const first = await openSession(fixture.store, "wiped");
    const { hostId, sessionEpoch } = first;
    const subject = await fixture.subject([[{ role: "A", hosts: [hostId, hostId] }]], {
      rolling: { maxFailures: 0 },
    });
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a], { hostId, sessionEpoch });
    const second = await openSession(fixture.store, "wiped", {
      journalId: "a new one",
      dispatcherToken: 2n,
    });
    assert.deepEqual(second.commands, []);
    const { paused, counts } = await subject.request();
    assert.deepEqual([paused, counts?.unknown], [true, 1]);
    const released = await subject.transit(TaskEvent.RELEASED, [b], {
      hostId,
      sessionEpoch: second.sessionEpoch,
    });
    assert.deepEqual(released.changes, []);
  });

  it("should not begin again what a person wants tried again in a request that was cancelled", async () => {
    const subject = await fixture.subject(2, { onFailure: OnFailure.HOLD });
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a]);
    await subject.report(TaskEvent.FAILED, a);
    await subject.mark({ abort: { cancelled: true, reason: "stop" } });
    await subject.transit(TaskEvent.RESOLVED_RETRY, [a]);
    assert.deepEqual(await statusesOf(subject), ["HOLDING_FAILED 1", "PENDING 1"]);
    await subject.transit(TaskEvent.RESOLVED_ABORT, [a]);
    await subject.transit(TaskEvent.GIVEN_UP, [b]);
    assert.equal((await subject.request()).progressPercent, 100);
  });

  it("should resolve nothing that is not held, and cancel nothing that has ended", async () => {
    const subject = await fixture.subject(2);
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED);
    await subject.report(TaskEvent.FAILED, a);
    await subject.report(TaskEvent.STARTED, b);
    const events = [
      TaskEvent.RESOLVED_RETRY,
      TaskEvent.RESOLVED_SKIP,
      TaskEvent.RESOLVED_ABORT,
      TaskEvent.GIVEN_UP,
    ];
    for (const event of events) assert.deepEqual((await subject.transit(event)).changes, []);
    assert.deepEqual((await subject.transit(TaskEvent.CANCEL_REQUESTED, [a])).changes, []);
    assert.deepEqual(await statusesOf(subject), ["FAILED 1", "IN_PROGRESS 1"]);
  });
});
