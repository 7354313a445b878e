import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Times } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture, type Subject } from "../testing/fixture.js";

const ms = (at: Timestamp | undefined) => (at === undefined ? 0 : timestampMs(at));
const took = (times: Times | undefined) => ms(times?.endedAt) - ms(times?.startedAt);

describe("how long a request and its stages took", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  async function timesOf({ requestId }: Subject) {
    const { request, stages } = await fixture.store.client.getRequest({ requestId });
    return { request: request?.times, stages: stages.map(({ times }) => times) };
  }

  it("should be no less than what a task took whose end alone was told", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const said = { startedAtMs: 1_000_000n, endedAtMs: 1_000_043n };
    await subject.report(TaskEvent.SUCCEEDED, undefined, said);
    const { request, stages } = await timesOf(subject);
    assert.deepEqual([took(request), stages.map(took)], [43, [43]]);
  });

  it("should be no less than what a task took whose start was told late", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const said = { startedAtMs: 1_000_000n };
    await subject.report(TaskEvent.STARTED, undefined, said);
    await subject.report(TaskEvent.FAILED, undefined, { ...said, endedAtMs: 1_060_000n });
    const { request, stages } = await timesOf(subject);
    assert.ok(took(request) >= 60_000 && took(stages[0]) >= 60_000, `${took(request)}`);
  });

  it("should count from the release where the agent does not say when the task started", async () => {
    const subject = await fixture.subject(1);
    const before = Date.now();
    await subject.transit(TaskEvent.RELEASED);
    const released = Date.now();
    await subject.report(TaskEvent.SUCCEEDED);
    const { request, stages } = await timesOf(subject);
    for (const startedAt of [ms(request?.startedAt), ms(stages[0]?.startedAt)]) {
      assert.ok(startedAt >= before && startedAt <= released, `${startedAt - before} ms`);
    }
  });

  it("should have no start where nothing ran", async () => {
    const subject = await fixture.subject(2);
    const [first = 0n, second = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED, [first]);
    await subject.report(TaskEvent.CANCELLED, first);
    await subject.transit(TaskEvent.GIVEN_UP, [second]);
    const { request, stages } = await timesOf(subject);
    assert.deepEqual([request?.startedAt, stages[0]?.startedAt], [undefined, undefined]);
  });

  it("should begin anew with a further run, for the stages that run again", async () => {
    const one = [{ role: "A", hosts: [fixture.hostId] }];
    const subject = await fixture.subject([one, one]);
    const [good = 0n, bad = 0n] = subject.taskIds;
    await subject.transit(TaskEvent.RELEASED);
    const hour = { startedAtMs: 1_000_000n, endedAtMs: 4_600_000n };
    for (const taskId of [good, bad]) {
      await subject.report(TaskEvent.STARTED, taskId, hour);
      const end = taskId === good ? TaskEvent.SUCCEEDED : TaskEvent.FAILED;
      await subject.report(end, taskId, hour);
    }
    const first = await timesOf(subject);
    assert.ok(took(first.request) >= 3_600_000);
    await subject.transit(TaskEvent.RETRIED, [bad]);
    const again = await timesOf(subject);
    assert.deepEqual([again.request?.startedAt, again.request?.endedAt], [undefined, undefined]);
    assert.deepEqual(
      [again.stages[1]?.startedAt, again.stages[1]?.endedAt],
      [undefined, undefined],
    );
    assert.deepEqual(again.stages[0], first.stages[0]);
    await subject.transit(TaskEvent.RELEASED, [bad], { attempt: 2 });
    const short = { attempt: 2, startedAtMs: 90_000_000n, endedAtMs: 90_000_043n };
    await subject.report(TaskEvent.SUCCEEDED, bad, short);
    const second = await timesOf(subject);
    assert.deepEqual([took(second.request), took(second.stages[1])], [43, 43]);
    assert.deepEqual(second.stages[0], first.stages[0]);
    assert.equal((await subject.request()).status, Status.COMPLETED);
  });
});
