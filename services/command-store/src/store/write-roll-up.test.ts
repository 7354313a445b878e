import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
import { movedStages, type StageCounts } from "./write-roll-up.js";
import { roleMoves } from "./write-task-changes.js";

/** A stage of two roles. */
function stage(stageId: number, a: object, b: object): StageCounts {
  return {
    ...{ requestId: 1, stageId, status: Status.QUEUED, displayStatus: Status.QUEUED },
    ...{ startTime: 0, endTime: 0 },
    roles: [
      { roleIndex: 0, role: "A", counts: a, successFactor: 1 },
      { roleIndex: 1, role: "B", counts: b, successFactor: 1 },
    ],
  };
}

/** A task's change from one status to another. */
function change(stageId: number, roleIndex: number, from: TaskStatus, to: TaskStatus) {
  const task = { requestId: 1, stageId, roleIndex };
  return { before: { ...task, status: from }, after: { ...task, status: to } } as Parameters<
    typeof roleMoves
  >[0][number];
}

describe("movedStages()", () => {
  it("should count the tasks of each role as their rows are after the moves", () => {
    const before = [
      stage(0, { [Status.QUEUED]: 3 }, { [Status.QUEUED]: 1, [Status.COMPLETED]: 2 }),
      stage(1, { [Status.PENDING]: 2 }, { [Status.PENDING]: 1 }),
    ];
    const moves = roleMoves([
      change(0, 0, Status.QUEUED, Status.IN_PROGRESS),
      change(0, 0, Status.QUEUED, Status.COMPLETED),
      change(0, 1, Status.QUEUED, Status.COMPLETED),
      change(1, 1, Status.PENDING, Status.QUEUED),
    ]);
    const [first, second] = movedStages(before, moves);
    const counts = (of: StageCounts | undefined) => of?.roles.map((role) => role.counts);
    assert.deepEqual(counts(first), [
      { [Status.QUEUED]: 1, [Status.IN_PROGRESS]: 1, [Status.COMPLETED]: 1 },
      { [Status.QUEUED]: 0, [Status.COMPLETED]: 3 },
    ]);
    assert.deepEqual(counts(second), [
      { [Status.PENDING]: 2 },
      { [Status.PENDING]: 0, [Status.QUEUED]: 1 },
    ]);
  });

  it("should move nothing where as many came to each status as left it", () => {
    const moves = roleMoves([
      change(0, 0, Status.QUEUED, Status.PENDING),
      change(0, 0, Status.PENDING, Status.QUEUED),
      change(0, 1, Status.UNKNOWN, Status.UNKNOWN),
    ]);
    assert.deepEqual(moves, []);
  });
});
