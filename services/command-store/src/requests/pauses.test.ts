import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { OnExceeded, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture, type Subject } from "../testing/fixture.js";

describe("pauses and failure budgets", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  /** Whether a task that waits can be released now. */
  async function isReleasable(subject: Subject, taskId: bigint): Promise<boolean> {
    return (await subject.transit(TaskEvent.RELEASED, [taskId])).changes.length > 0;
  }

  const rolling = (budget: NonNullable<Parameters<Fixture["subject"]>[1]>["rolling"]) => ({
    rolling: { canary: 1, ...budget },
  });

  it("should release nothing while it is paused, take what runs, and go on when resumed", async () => {
    const subject = await fixture.subject(3);
    const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a]);
    const paused = await subject.mark({
      pause: { paused: true, reason: "ann paused it" },
      transitions: [{ taskId: b, attempt: 1, event: TaskEvent.RELEASED, sessionEpoch: 1n }],
    });
    assert.deepEqual([paused.changes, paused.paused, paused.aborted], [[], true, false]);
    assert.equal(await isReleasable(subject, b), false);
    await subject.mark({ pause: { paused: true, reason: "bob too" } });
    const request = await subject.request();
    assert.deepEqual([request.paused, request.pauseReason], [true, "ann paused it"]);
    await subject.report(TaskEvent.SUCCEEDED, a);
    assert.equal((await subject.request()).counts?.completed, 1);
    await subject.transit(TaskEvent.GIVEN_UP, [c]);
    assert.equal((await subject.request()).counts?.aborted, 1);
    await subject.mark({ pause: { paused: false } });
    const resumed = await subject.request();
    assert.deepEqual([resumed.paused, resumed.pauseReason], [false, ""]);
    assert.equal(await isReleasable(subject, b), true);
  });

  it("should be seen by who watches", async () => {
    const subject = await fixture.subject(1);
    const caller = new AbortController();
    const watching = fixture.store.client.watchRequest(
      { requestId: subject.requestId },
      { signal: caller.signal },
    );
    const seen: boolean[] = [];
    for await (const { request } of watching) {
      seen.push(request?.paused ?? false);
      if (seen.length === 3) break;
      await subject.mark({ pause: { paused: seen.length === 1, reason: "" } });
    }
    caller.abort();
    assert.deepEqual(seen, [false, true, false]);
  });

  it("should not be paused once it is over, nor be paused then", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    await subject.mark({ pause: { paused: true, reason: "too late" } });
    await subject.report(TaskEvent.SUCCEEDED);
    assert.deepEqual(
      [(await subject.request()).paused, (await subject.request()).pauseReason],
      [false, ""],
    );
    await subject.mark({ pause: { paused: true, reason: "far too late" } });
    assert.equal((await subject.request()).paused, false);
  });

  it("should pause by the very report that exceeds the budget, and have a fresh one when resumed", async () => {
    const subject = await fixture.subject(6, rolling({ maxFailures: 1 }));
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a, b, c, d]);
    await subject.report(TaskEvent.FAILED, a);
    assert.equal((await subject.request()).paused, false);
    await subject.report(TaskEvent.TIMED_OUT, b);
    const request = await subject.request();
    assert.deepEqual(
      [request.paused, request.pauseReason],
      [true, "2 tasks failed, the budget is 1"],
    );
    assert.equal(await isReleasable(subject, e), false);
    await subject.mark({ pause: { paused: false } });
    await subject.report(TaskEvent.FAILED, c);
    assert.equal((await subject.request()).paused, false, "the budget is fresh");
    assert.equal(await isReleasable(subject, e), true);
    await subject.report(TaskEvent.FAILED, d);
    assert.equal((await subject.request()).paused, true);
    assert.equal(await isReleasable(subject, f), false);
  });

  it("should count percent of the request's tasks, those that are passed over or held, and a deadline as well", async () => {
    const { hostId } = fixture;
    const ten = [[{ role: "A", hosts: Array.from({ length: 10 }, () => hostId) }]];
    for (const onFailure of [OnFailure.SKIP, OnFailure.HOLD, OnFailure.CONTINUE]) {
      const subject = await fixture.subject(ten, {
        ...rolling({ maxFailurePercent: 10 }),
        onFailure,
      });
      const [a = 0n, b = 0n] = subject.taskIds;
      await subject.transit(TaskEvent.RELEASED, [a, b]);
      await subject.report(TaskEvent.FAILED, a);
      assert.equal((await subject.request()).paused, false);
      await subject.transit(TaskEvent.DEADLINE_PASSED, [b]);
      assert.equal((await subject.request()).paused, true);
    }
  });

  it("should abort instead when that is asked for, and say why", async () => {
    const subject = await fixture.subject(
      3,
      rolling({ maxFailures: 0, onExceeded: OnExceeded.ABORT }),
    );
    const [a = 0n, b = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a]);
    await subject.report(TaskEvent.FAILED, a);
    const request = await subject.request();
    assert.deepEqual(
      [request.paused, request.aborted, request.abortReason],
      [false, true, "1 task failed, the budget is 0"],
    );
    const { changes, aborted } = await subject.transit(TaskEvent.RELEASED, [b]);
    assert.deepEqual([changes, aborted], [[], true]);
  });

  it("should count each batch of each stage for itself", async () => {
    const { hostId } = fixture;
    const hosts = [hostId, hostId, hostId, hostId];
    const batches = [0, 0, 1, 1];
    const subject = await fixture.subject(
      [
        [{ role: "A", hosts, batches }],
        [{ role: "B", hosts: [...hosts, hostId], batches: [...batches, 2] }],
      ],
      rolling({ maxBatchFailures: 1 }),
    );
    assert.deepEqual(
      (await subject.tasks()).map(({ batch }) => batch),
      [0, 0, 1, 1, 0, 0, 1, 1, 2],
    );
    const [a = 0n, , c = 0n, d = 0n, e = 0n, f = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, subject.taskIds.slice(0, -1));
    for (const taskId of [a, c, e]) {
      await subject.report(TaskEvent.FAILED, taskId);
      assert.equal((await subject.request()).paused, false);
    }
    await subject.report(TaskEvent.FAILED, d);
    const { pauseReason } = await subject.request();
    assert.equal(pauseReason, "2 tasks failed in batch 2 of stage 1, the budget of a batch is 1");
    await subject.mark({ pause: { paused: false } });
    await subject.report(TaskEvent.FAILED, f);
    assert.equal((await subject.request()).paused, false, "the batch has a fresh budget");
  });

  it("should not count what is tried again, and give nothing back for what a late word corrects", async () => {
    const subject = await fixture.subject(4, {
      ...rolling({ maxFailures: 1 }),
      retry: { maxAttempts: 2 },
    });
    const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a, b, c]);
    await subject.report(TaskEvent.FAILED, a);
    await subject.report(TaskEvent.FAILED, b);
    assert.equal((await subject.request()).paused, false);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [c]);
    await subject.report(TaskEvent.SUCCEEDED, c);
    await subject.transit(TaskEvent.RELEASED, [a], { attempt: 2 });
    await subject.report(TaskEvent.FAILED, a, { attempt: 2 });
    assert.equal((await subject.request()).paused, true, "a corrected failure was given back");
  });

  it("should count a task once that was UNKNOWN first and FAILED then", async () => {
    const subject = await fixture.subject(2, rolling({ maxFailures: 1, maxBatchFailures: 1 }));
    const [a = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a]);
    await subject.transit(TaskEvent.DEADLINE_PASSED, [a]);
    await subject.report(TaskEvent.FAILED, a);
    assert.equal((await subject.request()).paused, false);
  });

  it("should begin a further run with nothing spent", async () => {
    const subject = await fixture.subject(2, rolling({ maxFailures: 1, maxBatchFailures: 1 }));
    await subject.transit(TaskEvent.RELEASED);
    for (const taskId of subject.taskIds) await subject.report(TaskEvent.FAILED, taskId);
    await subject.transit(TaskEvent.RETRIED);
    const [a = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [a], { attempt: 2 });
    await subject.report(TaskEvent.FAILED, a, { attempt: 2 });
    assert.equal((await subject.request()).paused, false);
  });

  it("should take as many statements for fifty failures as for two", async () => {
    const { store, hostId, sessionEpoch } = fixture;
    const options = rolling({ maxFailures: 100, maxBatchFailures: 100 });
    const statements = async (count: number) => {
      const subject = await fixture.subject(count, options);
      await subject.transit(TaskEvent.RELEASED);
      const base = { attempt: 1, hostId, sessionEpoch, event: TaskEvent.FAILED };
      let sent = 0;
      const listen = () => {
        sent += 1;
      };
      store.db.on("query", listen);
      await store.client.recordReports({
        reports: subject.taskIds.map((taskId) => ({ ...base, taskId })),
      });
      store.db.removeListener("query", listen);
      assert.equal((await subject.request()).counts?.failed, count);
      return sent;
    };
    assert.equal(await statements(50), await statements(2));
  });

  it("should hold a manual step until a person says what becomes of it, and send nothing", async () => {
    const { hostId, store } = fixture;
    const subject = await fixture.subject([
      [{ role: "PERSON", hosts: [hostId, hostId], manual: true }],
      [{ role: "B", hosts: [hostId] }],
    ]);
    const [a = 0n, b = 0n, c = 0n] = subject.taskIds;
    const { changes, commands } = await subject.transit(TaskEvent.RELEASED, [a, b], {
      sessionEpoch: 0n,
    });
    assert.deepEqual(
      changes.map(({ status }) => status),
      [Status.HOLDING, Status.HOLDING],
    );
    assert.deepEqual(commands, []);
    const { stages } = await store.client.getRequest({ requestId: subject.requestId });
    assert.deepEqual(
      stages.map(({ status, roles }) => [status, roles[0]?.manual]),
      [
        [Status.HOLDING, true],
        [Status.PENDING, false],
      ],
    );
    await subject.transit(TaskEvent.RESOLVED_SKIP, [a]);
    await subject.transit(TaskEvent.RESOLVED_ABORT, [b]);
    const unsent = await subject.transit(TaskEvent.RELEASED, [c], { sessionEpoch: 0n });
    assert.deepEqual(unsent.changes, [], "a command was released to no session");
    assert.deepEqual(
      (await subject.tasks()).map(({ status }) => status),
      [Status.COMPLETED, Status.ABORTED, Status.PENDING],
    );
  });
});
