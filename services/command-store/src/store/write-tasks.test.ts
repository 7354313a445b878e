import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { ChangedTask, TaskRow } from "./task-rows.js";
import { taskUpdate } from "./write-tasks.js";

const pending: TaskRow = {
  ...{ taskId: 1, requestId: 1, stageId: 0, roleIndex: 0, hostId: 1 },
  ...{ role: "RUN", roleCommand: RoleCommand.EXECUTE, componentCommand: null },
  ...{ batch: 0, manual: false, status: Status.PENDING, attempt: 1, cancelRequested: false },
  ...{ exitCode: null, sessionEpoch: 0, bindingId: 0, changeVersion: 1 },
  ...{ queueTime: 0, startTime: 0, endTime: 0, receiveTime: 0, reportTime: 0 },
  ...{ stdoutLength: null, stderrLength: null, structuredLength: null, reason: null },
};

/** The release of a task. */
function release(taskId: number, sessionEpoch: number): ChangedTask {
  const before: TaskRow = { ...pending, taskId };
  const released = { status: Status.QUEUED, changeVersion: 2, queueTime: 50 } as const;
  return { before, after: { ...before, ...released, sessionEpoch } };
}

/** What a statement sets, and its values but for the rows. */
function partsOf({ sql, bindings: [rows, ...shared] }: ReturnType<typeof taskUpdate>) {
  const set = sql.slice(sql.indexOf("set ") + 4).split(/, (?=t\.\w+ =)/);
  return {
    rows: JSON.parse(rows as string),
    set: set.map((one) => one.replace(/^t\./, "")),
    shared,
  };
}

describe("taskUpdate()", () => {
  it("should have each row say what tasks differ in, and the statement what they share", () => {
    const { rows, set, shared } = partsOf(taskUpdate([release(7, 31), release(8, 32)]));
    assert.deepEqual(rows, [
      [7, 31],
      [8, 32],
    ]);
    assert.deepEqual(set, [
      "status = ?",
      "session_epoch = v.session_epoch",
      "change_version = ?",
      "queue_time = ?",
      "open_host_id = if(? = 1, t.host_id, null)",
    ]);
    // As they must be still: PENDING, attempt 1, no session, no cancel; then as they are to be.
    assert.deepEqual(shared, [Status.PENDING, 1, 0, 0, Status.QUEUED, 2, 50, 1]);
  });

  it("should write what only one of the tasks changes for all of them, as it is", () => {
    const { before, after } = release(8, 32);
    const failed: TaskRow = { ...after, status: Status.FAILED, exitCode: 7, reason: "it's broken" };
    const { rows, set } = partsOf(taskUpdate([release(7, 32), { before, after: failed }]));
    const [first, second] = rows;
    assert.deepEqual(first, [7, Status.QUEUED, null, null, 1]);
    assert.deepEqual(second, [8, Status.FAILED, 7, "it's broken", 0]);
    assert.ok(set.includes("reason = v.reason"), String(set));
  });

  it("should be a statement even when nothing is left to be changed", () => {
    const { set } = partsOf(taskUpdate([{ before: pending, after: pending }]));
    assert.deepEqual(set, ["task_id = t.task_id"]);
  });
});
