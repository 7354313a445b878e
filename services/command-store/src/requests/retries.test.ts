import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { Guarantee, OnFailure, RetryCause } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture } from "../testing/fixture.js";

describe("retries", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  const goOn = { onFailure: OnFailure.CONTINUE };

  /** What becomes of the first attempt of a task that was released, and ends so. */
  async function afterEnd(options: Parameters<Fixture["subject"]>[1], end: TaskEvent) {
    const subject = await fixture.subject(1, options);
    await subject.transit(TaskEvent.RELEASED);
    await subject.report(end);
    const [task] = await subject.tasks();
    return `${Status[task?.status ?? 0]} ${task?.attempt}`;
  }

  it("should make a further attempt after the ends that the policy names, and no others", async () => {
    const { FAILED, TIMED_OUT, INTERRUPTED } = TaskEvent;
    const twice = { ...goOn, retry: { maxAttempts: 2 } };
    const named = { ...goOn, retry: { maxAttempts: 2, causes: [RetryCause.TIMED_OUT] } };
    assert.equal(await afterEnd(goOn, FAILED), "FAILED 1");
    assert.equal(await afterEnd(twice, FAILED), "PENDING 2");
    assert.equal(await afterEnd(twice, TIMED_OUT), "PENDING 2");
    assert.equal(await afterEnd(twice, INTERRUPTED), "FAILED 1");
    assert.equal(await afterEnd(named, FAILED), "FAILED 1");
    assert.equal(await afterEnd(named, TIMED_OUT), "PENDING 2");
    assert.equal(await afterEnd(twice, TaskEvent.CANCELLED), "ABORTED 1");
  });

  it("should treat what was interrupted as the guarantee says", async () => {
    const causes = [RetryCause.INTERRUPTED];
    const retry = { maxAttempts: 2, causes };
    const of = (guarantee: Guarantee, rest = {}) =>
      afterEnd({ ...goOn, guarantee, ...rest }, TaskEvent.INTERRUPTED);
    assert.equal(await of(Guarantee.AT_MOST_ONCE, { retry }), "FAILED 1");
    assert.equal(await of(Guarantee.ONCE_WITH_JOURNAL), "FAILED 1");
    assert.equal(await of(Guarantee.ONCE_WITH_JOURNAL, { retry }), "PENDING 2");
    assert.equal(await of(Guarantee.AT_LEAST_ONCE), "PENDING 2");
  });

  it("should let a role command's policy go before its role's, and that before the request's", async () => {
    const { hostId } = fixture;
    const hosts = [hostId];
    const subject = await fixture.subject(
      [
        [
          { role: "A", hosts },
          { role: "A", hosts, roleCommand: RoleCommand.INSTALL },
          { role: "B", hosts },
        ],
      ],
      {
        ...goOn,
        retry: { maxAttempts: 2 },
        roleRetries: { A: { maxAttempts: 1 }, "A-INSTALL": { maxAttempts: 3 } },
      },
    );
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await subject.transit(TaskEvent.RELEASED, undefined, { attempt });
      for (const taskId of subject.taskIds) {
        await subject.report(TaskEvent.FAILED, taskId, { attempt });
      }
    }
    assert.deepEqual(
      (await subject.tasks()).map(({ status, attempt }) => [status, attempt]),
      [
        [Status.FAILED, 1],
        [Status.FAILED, 3],
        [Status.FAILED, 2],
      ],
    );
  });

  it("should never show a failure that is tried again, and keep its stage waiting", async () => {
    const subject = await fixture.subject(1, {
      onFailure: OnFailure.ABORT,
      retry: { maxAttempts: 2 },
    });
    await subject.transit(TaskEvent.RELEASED);
    const { changes } = await subject.report(TaskEvent.FAILED);
    assert.deepEqual(
      changes.map(({ status, attempt }) => [status, attempt]),
      [[Status.PENDING, 2]],
    );
    const { displayStatus, counts, abortReason } = await subject.request();
    assert.deepEqual([displayStatus, counts?.pending, counts?.failed], [Status.PENDING, 1, 0]);
    assert.equal(abortReason, "");
    const again = await subject.transit(TaskEvent.RELEASED, undefined, { attempt: 2 });
    assert.deepEqual(
      again.commands.map(({ attempt }) => attempt),
      [2],
    );
  });

  it("should keep each attempt with its times, exit code, reason and output", async () => {
    const { client } = fixture.store;
    const subject = await fixture.subject(1, { ...goOn, retry: { maxAttempts: 3 } });
    const [taskId = 0n] = subject.taskIds;
    for (const attempt of [1, 2, 3]) {
      await subject.transit(TaskEvent.RELEASED, undefined, { attempt });
      const data = Buffer.from(`output of attempt ${attempt}`);
      const length = BigInt(data.length);
      await subject.report(TaskEvent.FAILED, taskId, {
        attempt,
        exitCode: 10 + attempt,
        startedAtMs: BigInt(100 * attempt),
        endedAtMs: BigInt(100 * attempt + 50),
        reason: `reason ${attempt}`,
        lengths: [{ stream: OutputStream.STDOUT, length, written: length }],
        output: [{ stream: OutputStream.STDOUT, offset: 0n, data }],
      });
    }
    const { task, attempts } = await client.getTask({ taskId });
    assert.deepEqual(
      attempts.map((a) => [
        a.attempt,
        a.status,
        a.exitCode,
        a.startedAtMs,
        a.endedAtMs,
        a.reason,
        a.sessionEpoch,
        a.queuedAtMs > 0n,
      ]),
      [
        [1, Status.FAILED, 11, 100n, 150n, "reason 1", fixture.sessionEpoch, true],
        [2, Status.FAILED, 12, 200n, 250n, "reason 2", fixture.sessionEpoch, true],
      ],
    );
    assert.deepEqual([task?.attempt, task?.exitCode, task?.reason], [3, 13, "reason 3"]);
    for (const attempt of [1, 2, 3]) {
      let text = "";
      let complete = false;
      for await (const part of client.readTaskOutput({ taskId, attempt, follow: true })) {
        text += Buffer.from(part.data).toString();
        complete = part.complete;
      }
      assert.deepEqual([text, complete], [`output of attempt ${attempt}`, true]);
    }
  });

  it("should acknowledge what comes of a former attempt, and let it change nothing of the one that runs", async () => {
    const subject = await fixture.subject(1, { ...goOn, retry: { maxAttempts: 2 } });
    await subject.transit(TaskEvent.RELEASED);
    await subject.report(TaskEvent.FAILED, undefined, { exitCode: 1 });
    await subject.transit(TaskEvent.RELEASED, undefined, { attempt: 2 });
    const before = await subject.tasks();
    const { changes } = await subject.report(TaskEvent.SUCCEEDED, undefined, { exitCode: 0 });
    assert.deepEqual(changes, []);
    assert.deepEqual(await subject.tasks(), before);
  });

  it("should make no further attempt once a cancel was asked for, or the request is aborted", async () => {
    const retry = { maxAttempts: 5 };
    const cancelled = await fixture.subject(1, { ...goOn, retry });
    await cancelled.transit(TaskEvent.RELEASED);
    await cancelled.transit(TaskEvent.CANCEL_REQUESTED);
    await cancelled.report(TaskEvent.FAILED);
    assert.equal((await cancelled.request()).counts?.failed, 1);
    const aborted = await fixture.subject(2, { ...goOn, retry });
    await aborted.transit(TaskEvent.RELEASED);
    await aborted.mark({ abort: { cancelled: false, reason: "another role failed" } });
    await aborted.report(TaskEvent.FAILED);
    assert.equal((await aborted.request()).counts?.failed, 1);
  });
});
