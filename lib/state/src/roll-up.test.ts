import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { Counts } from "./counts.js";
import {
  displayStatus,
  needed,
  progressPercent,
  requestStatus,
  roleOutcome,
  stageStatus,
} from "./roll-up.js";

function role(counts: Counts, successFactor = 1) {
  return { counts, successFactor };
}

describe("roleOutcome()", () => {
  it("asks for ceil(factor × tasks) successes, whatever the floating point says", () => {
    assert.equal(needed(3, 0.5), 2);
    assert.equal(needed(10, 0.7), 7);
    assert.equal(needed(10, 0.85), 9);
    assert.equal(needed(7, 0), 0);
  });
  it("is open while it can go either way, doomed once it cannot succeed", () => {
    const one = { [Status.FAILED]: 1, [Status.IN_PROGRESS]: 1, [Status.COMPLETED]: 1 };
    assert.equal(roleOutcome(role(one, 0.5)), "open");
    assert.equal(roleOutcome(role(one, 1)), "doomed");
  });
  it("is judged only when done: a factor never ends a stage early", () => {
    assert.equal(roleOutcome(role({ [Status.COMPLETED]: 9, [Status.QUEUED]: 1 }, 0.5)), "open");
    assert.equal(
      roleOutcome(role({ [Status.COMPLETED]: 1, [Status.FAILED]: 1 }, 0.5)),
      "succeeded",
    );
    assert.equal(roleOutcome(role({ [Status.COMPLETED]: 1, [Status.FAILED]: 2 }, 0.5)), "failed");
  });
  it("counts UNKNOWN as failed and SKIPPED_FAILED as passed over", () => {
    assert.equal(roleOutcome(role({ [Status.UNKNOWN]: 1 })), "failed");
    assert.equal(roleOutcome(role({ [Status.SKIPPED_FAILED]: 1 })), "succeeded");
  });
});

describe("stageStatus()", () => {
  const table: [string, ReturnType<typeof role>[], Status][] = [
    ["no tasks", [], Status.COMPLETED],
    ["all pending", [role({ [Status.PENDING]: 2 })], Status.PENDING],
    ["one queued", [role({ [Status.PENDING]: 2, [Status.QUEUED]: 1 })], Status.IN_PROGRESS],
    [
      "one failed, one runs",
      [role({ [Status.FAILED]: 1, [Status.IN_PROGRESS]: 1 })],
      Status.IN_PROGRESS,
    ],
    [
      "one held",
      [role({ [Status.HOLDING_FAILED]: 1, [Status.IN_PROGRESS]: 1 })],
      Status.HOLDING_FAILED,
    ],
    ["all ended well", [role({ [Status.COMPLETED]: 3 })], Status.COMPLETED],
    [
      "one failed of ten at 0.5",
      [role({ [Status.COMPLETED]: 9, [Status.FAILED]: 1 }, 0.5)],
      Status.COMPLETED,
    ],
    ["one failed", [role({ [Status.COMPLETED]: 9, [Status.FAILED]: 1 })], Status.FAILED],
    ["one timed out", [role({ [Status.ABORTED]: 9, [Status.TIMEDOUT]: 1 })], Status.TIMEDOUT],
    ["one unknown", [role({ [Status.COMPLETED]: 9, [Status.UNKNOWN]: 1 })], Status.UNKNOWN],
    ["all aborted", [role({ [Status.ABORTED]: 2 })], Status.ABORTED],
  ];
  for (const [name, roles, expected] of table) {
    it(`${name}: ${Status[expected]}`, () => {
      assert.equal(Status[stageStatus(roles)], Status[expected]);
    });
  }
});

describe("requestStatus()", () => {
  it("is COMPLETED only when every stage's roles succeeded", () => {
    const good = [role({ [Status.COMPLETED]: 2 })];
    assert.equal(requestStatus([good, good]), Status.COMPLETED);
    assert.equal(requestStatus([good, [role({ [Status.PENDING]: 2 })]]), Status.IN_PROGRESS);
    const failed = [role({ [Status.FAILED]: 1, [Status.COMPLETED]: 1 })];
    assert.equal(requestStatus([failed, [role({ [Status.ABORTED]: 2 })]]), Status.FAILED);
  });
  it("keeps the roles of different stages apart: each must succeed for itself", () => {
    const half = (counts: Counts) => [role(counts, 0.5)];
    const first = half({ [Status.COMPLETED]: 2 });
    const second = half({ [Status.FAILED]: 2 });
    assert.equal(requestStatus([first, second]), Status.FAILED);
  });
});

describe("displayStatus()", () => {
  it("shows a failure before the end", () => {
    const counts = { [Status.FAILED]: 1, [Status.IN_PROGRESS]: 3 };
    assert.equal(displayStatus(Status.IN_PROGRESS, counts), Status.FAILED);
    assert.equal(
      displayStatus(Status.COMPLETED, { [Status.SKIPPED_FAILED]: 1 }),
      Status.SKIPPED_FAILED,
    );
    assert.equal(displayStatus(Status.COMPLETED, { [Status.COMPLETED]: 1 }), Status.COMPLETED);
  });
});

describe("progressPercent()", () => {
  it("is 100 exactly when nothing waits, runs or is held", () => {
    assert.equal(progressPercent({ [Status.COMPLETED]: 1 }), 100);
    assert.equal(progressPercent({ [Status.COMPLETED]: 99_999, [Status.HOLDING_FAILED]: 1 }), 99);
    assert.equal(progressPercent({ [Status.PENDING]: 4 }), 0);
    assert.equal(progressPercent({ [Status.QUEUED]: 4 }), 9);
    assert.equal(progressPercent({ [Status.IN_PROGRESS]: 4 }), 35);
  });
});
