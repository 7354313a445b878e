import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { type Fixture, openFixture } from "../testing/fixture.js";

describe("a release and its host's next session", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  it("should skip a hand-back of one session when the task was released to a newer one", async () => {
    const subject = await fixture.subject(1);
    const next = fixture.sessionEpoch + 1n;
    await subject.transit(TaskEvent.RELEASED, undefined, { sessionEpoch: next });
    const old = { sessionEpoch: fixture.sessionEpoch };
    const { changes } = await subject.transit(TaskEvent.NEVER_STARTED, undefined, old);
    assert.deepEqual(changes, []);
    assert.equal((await subject.tasks())[0]?.status, Status.QUEUED);
    const current = await subject.transit(TaskEvent.NEVER_STARTED, undefined, {
      sessionEpoch: next,
    });
    assert.equal(current.changes[0]?.status, Status.PENDING);
  });

  it("should bind a released task to a newer session when it is released again, never to an older one", async () => {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const next = fixture.sessionEpoch + 1n;
    const again = await subject.transit(TaskEvent.RELEASED, undefined, { sessionEpoch: next });
    assert.equal(again.commands.length, 1);
    assert.equal(again.changes[0]?.sessionEpoch, next);
    const older = await subject.transit(TaskEvent.RELEASED);
    assert.deepEqual([older.changes, older.commands], [[], []]);
    assert.equal((await subject.request()).counts?.queued, 1);
  });
});
