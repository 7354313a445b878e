import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture, type Subject } from "../testing/fixture.js";
import { rejects } from "../testing/rejects.js";

describe("further runs of a request", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  const isUnfinished = async ({ requestId }: Subject) =>
    (await fixture.store.client.listUnfinished({})).requests.some(
      (request) => request.requestId === requestId,
    );

  /** A request that was cancelled while its first task ran: it ended, the others were given up. */
  async function cancelled() {
    const subject = await fixture.subject(3);
    const [first = 0n, ...others] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [first]);
    await subject.mark({ abort: { cancelled: true, reason: "ann changed her mind" } });
    await subject.transit(TaskEvent.CANCEL_REQUESTED, [first]);
    await subject.transit(TaskEvent.GIVEN_UP, others);
    await subject.report(TaskEvent.CANCELLED, first);
    return subject;
  }

  it("should open a cancelled request again, for a scheduler to find, with nothing left of the cancel", async () => {
    const subject = await cancelled();
    const over = await subject.request();
    assert.deepEqual([over.status, over.progressPercent, over.run], [Status.ABORTED, 100, 1]);
    assert.equal(await isUnfinished(subject), false);
    const { requestStatus, aborted } = await subject.transit(TaskEvent.RETRIED, undefined, {
      reason: "ann retried it",
    });
    assert.deepEqual([requestStatus, aborted], [Status.PENDING, false]);
    const request = await subject.request();
    assert.deepEqual(
      [request.run, request.cancelRequested, request.aborted, request.progressPercent],
      [2, false, false, 0],
    );
    assert.equal(request.abortReason, "");
    assert.equal(request.times?.endedAt, undefined);
    assert.equal(await isUnfinished(subject), true);
    assert.deepEqual(
      (await subject.tasks()).map((t) => [t.status, t.attempt, t.cancelRequested, t.reason]),
      subject.taskIds.map(() => [Status.PENDING, 2, false, "ann retried it"]),
    );
    const released = await subject.transit(TaskEvent.RELEASED, undefined, { attempt: 2 });
    assert.equal(released.commands.length, 3);
  });

  it("should run again what failed alone, and leave what succeeded", async () => {
    const subject = await fixture.subject(4, { onFailure: OnFailure.ABORT });
    const [a = 0n, b = 0n, c = 0n, d = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED);
    await subject.report(TaskEvent.SUCCEEDED, a);
    await subject.report(TaskEvent.FAILED, b);
    await subject.report(TaskEvent.TIMED_OUT, c);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [d]);
    const { changes } = await subject.transit(TaskEvent.RETRIED);
    assert.deepEqual(
      changes.map(({ taskId }) => taskId),
      [b, c, d],
    );
    const { counts, progressPercent, status } = await subject.request();
    assert.deepEqual([counts?.completed, counts?.pending], [1, 3]);
    assert.deepEqual([status, progressPercent], [Status.IN_PROGRESS, 25]);
    await subject.transit(TaskEvent.RELEASED, [b, c, d], { attempt: 2 });
    for (const taskId of [b, c, d])
      await subject.report(TaskEvent.SUCCEEDED, taskId, { attempt: 2 });
    assert.equal((await subject.request()).status, Status.COMPLETED);
  });

  it("should refuse to run again what has not ended, and begin no run for a retry that is repeated or fits nothing", async () => {
    const running = await fixture.subject(2);
    const [first = 0n] = running.taskIds;
    await running.transit(TaskEvent.GIVEN_UP, [first]);
    assert.deepEqual((await running.transit(TaskEvent.RETRIED)).changes, []);
    assert.equal((await running.request()).run, 1);

    const subject = await cancelled();
    await subject.transit(TaskEvent.RETRIED);
    // The answer was lost, so it comes again.
    assert.deepEqual(
      (await subject.transit(TaskEvent.RETRIED)).changes.map(({ status, attempt }) => [
        status,
        attempt,
      ]),
      subject.taskIds.map(() => [Status.PENDING, 2]),
    );
    assert.equal((await subject.request()).run, 2);
    await subject.transit(TaskEvent.GIVEN_UP, undefined, { attempt: 2 });
    // Over again by now: the same call, once more.
    assert.deepEqual((await subject.transit(TaskEvent.RETRIED)).changes, []);
    const request = await subject.request();
    assert.deepEqual([request.run, request.progressPercent], [2, 100]);
    assert.equal(await isUnfinished(subject), false);
  });

  it("should refuse a retry that begins no run, and a run together with an abort or a pause", async () => {
    const subject = await cancelled();
    const send = (part: Parameters<Subject["mark"]>[0]) => subject.mark(part);
    const retried = [{ taskId: subject.taskIds[0] ?? 0n, attempt: 1, event: TaskEvent.RETRIED }];
    await rejects(send({ transitions: retried }), Code.InvalidArgument, /needs new_run/);
    await rejects(
      send({ newRun: true, abort: { reason: "no" }, transitions: retried }),
      Code.InvalidArgument,
      /neither abort nor pause/,
    );
    await rejects(
      send({ newRun: true, pause: { paused: true }, transitions: retried }),
      Code.InvalidArgument,
      /neither abort nor pause/,
    );
    assert.equal((await subject.request()).run, 1);
  });

  it("should begin no run for a scheduler whose token is stale", async () => {
    const subject = await cancelled();
    await subject.mark({}, 7n);
    assert.equal((await subject.transit(TaskEvent.RETRIED)).staleOwner, true);
    assert.equal((await subject.request()).run, 1);
  });
});
