import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Behaviour, fateOf } from "./behaviour.js";

const behaviour: Behaviour = {
  ...{ durationMs: [50, 500], failureRate: 0.1, outputBytes: 0, seed: 1 },
};
const keyOf = (task: number, storeId = "s") => ({ storeId, taskId: String(task), attempt: 1 });
const fates = (seed: number, storeId?: string) =>
  Array.from({ length: 10_000 }, (_, n) => fateOf(keyOf(n, storeId), { ...behaviour, seed }));

describe("fateOf()", () => {
  it("should spread durations over the range and fail as many as asked", () => {
    const drawn = fates(1);
    const durations = drawn.map(({ durationMs }) => durationMs);
    assert.ok(Math.min(...durations) >= 50 && Math.max(...durations) <= 500);
    const mean = durations.reduce((sum, ms) => sum + ms, 0) / durations.length;
    assert.ok(Math.abs(mean - 275) < 10, `mean ${mean}`);
    const failed = drawn.filter(({ fails }) => fails).length;
    assert.ok(Math.abs(failed - 1_000) < 150, `${failed} of 10,000 failed`);
  });

  it("should be the same for a seed, whatever the store is called, and another for another seed", () => {
    assert.deepEqual(fates(1), fates(1, "other"));
    assert.notDeepEqual(fates(1), fates(2));
  });

  it("should fail none and all when told so", () => {
    const failing = (failureRate: number) =>
      Array.from({ length: 1_000 }, (_, n) =>
        fateOf(keyOf(n), { ...behaviour, failureRate }),
      ).filter(({ fails }) => fails).length;
    assert.deepEqual([failing(0), failing(1)], [0, 1_000]);
  });
});
