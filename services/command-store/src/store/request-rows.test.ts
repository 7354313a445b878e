import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { Transaction } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { createChangeSet } from "../requests/task-changes.js";
import { writeChanges } from "../requests/write-changes.js";
import { type Fixture, openFixture } from "../testing/fixture.js";
import { untilBlocked } from "../testing/until-blocked.js";
import { lockRequests } from "./request-rows.js";

describe("lockRequests()", () => {
  let fixture: Fixture;
  before(async () => {
    fixture = await openFixture();
  });
  after(() => fixture?.close());

  /** A released task, and what begins it in a transaction: `meanwhile` happens between its reading and its writing. */
  async function beginning() {
    const subject = await fixture.subject(1);
    await subject.transit(TaskEvent.RELEASED);
    const [requestId, taskId] = [Number(subject.requestId), Number(subject.taskIds[0])];
    const begin = async (trx: Transaction, meanwhile: () => unknown) => {
      const locked = await lockRequests(trx, [requestId], [taskId]);
      await meanwhile();
      const changes = createChangeSet(locked);
      const task = changes.task(taskId);
      assert.ok(task);
      changes.change({ ...task, status: Status.IN_PROGRESS });
      await writeChanges(trx, changes, Date.now());
      return locked.requests.get(requestId)?.version;
    };
    return { subject, taskId, begin };
  }

  it("should let those who change a request do so one after the other, a version each", async () => {
    const { subject, begin } = await beginning();
    const { db } = fixture.database;
    let second: Promise<number | undefined> | undefined;
    const first = await inTransaction(db, (trx) =>
      begin(trx, async () => {
        let isLocked = false;
        second = inTransaction(db, (other) =>
          begin(other, () => {
            isLocked = true;
          }),
        );
        await untilBlocked(db);
        assert.equal(isLocked, false);
      }),
    );
    assert.equal(await second, (first ?? 0) + 1);
    const { version } = await subject.request();
    assert.equal(version, BigInt((first ?? 0) + 1));
  });

  it("should find out what changed a task without its request's lock, and write nothing then", async () => {
    const { subject, taskId, begin } = await beginning();
    const { db } = fixture.database;
    let runs = 0;
    await inTransaction(db, (trx) =>
      begin(trx, async () => {
        runs += 1;
        const elsewhere = "update host_role_command set session_epoch = 99 where task_id = ?";
        if (runs === 1) await db.raw(elsewhere, [taskId]);
      }),
    );
    assert.equal(runs, 2);
    const [task] = await subject.tasks();
    assert.deepEqual([task?.status, task?.sessionEpoch], [Status.IN_PROGRESS, 99n]);
    const { stages } = await fixture.store.client.getRequest({ requestId: subject.requestId });
    const { inProgress, queued } = stages[0]?.roles[0]?.counts ?? {};
    assert.deepEqual([inProgress, queued], [1, 0]);
  });
});
