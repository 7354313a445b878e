import assert from "node:assert/strict";
import { it } from "node:test";
import { growthOf } from "./growth.js";

it("should tell by how much each size takes longer than the one before, round by round", () => {
  const times = new Map([
    [50, [10, 20, 10]],
    [500, [50, 60, 80]],
  ]);
  const [growth, ...more] = growthOf(times, [50, 500]);
  assert.equal(more.length, 0);
  assert.equal(growth?.value, 5);
  assert.deepEqual(growth?.target, { most: 10 });
  assert.deepEqual(growthOf(times, [50]), []);
});
