import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TaskSchema } from "@howdah/proto/howdah/v1/request";
import { hopsOf, type Ran } from "./hops.js";

/** A task of a role that was released, received, started, ended and reported at these times. */
function ran(role: number, ...[queued, received, start, end, reported]: number[]): Ran {
  const task = create(TaskSchema, {
    queuedAtMs: BigInt(queued ?? 0),
    receivedAtMs: BigInt(received ?? 0),
    reportedAtMs: BigInt(reported ?? 0),
    times: { startedAt: timestampFromMs(start ?? 0), endedAt: timestampFromMs(end ?? 0) },
  });
  return { task, job: { role, host: "h", durationMs: 0 } };
}

describe("hopsOf()", () => {
  it("goes from the last end of a role's blockers to its own first start, in parts", () => {
    const all = [
      ran(0, 0, 1, 2, 50, 55),
      ran(0, 0, 1, 2, 90, 97),
      ran(1, 0, 1, 2, 70, 99),
      ran(2, 105, 112, 115, 200, 201),
      ran(2, 105, 120, 121, 220, 221),
    ];
    assert.deepEqual(hopsOf(all, [[], [], [0, 1]]), [
      { gapMs: 25, reportMs: 7, decideMs: 8, deliverMs: 7, spreadMs: 8 },
    ]);
  });

  it("finds none where nothing comes before, and says which task did not run", () => {
    assert.deepEqual(hopsOf([ran(0, 0, 1, 2, 50, 55)], [[]]), []);
    const task = create(TaskSchema, { taskId: 7n });
    const neverRan: Ran = { task, job: { role: 0, host: "h", durationMs: 0 } };
    assert.throws(() => hopsOf([neverRan, neverRan], [[], [0]]), /task 7 has no times/);
  });
});
