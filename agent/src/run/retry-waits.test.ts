import assert from "node:assert/strict";
import { test } from "node:test";
import { afterTry, retryBudget } from "./retry-waits.js";

/** The waits in seconds, when each try takes so long. */
function waits(seconds: number, tookSeconds: number): number[] {
  const list: number[] = [];
  let budget = afterTry(retryBudget(seconds * 1_000), tookSeconds * 1_000);
  while (budget !== undefined && list.length < 100) {
    list.push(budget.delayMs / 1_000);
    budget = afterTry(budget, tookSeconds * 1_000);
  }
  return list;
}

/** The time for tries, how long each takes, the waits: those of Ambari's agent. */
const cases: [seconds: number, took: number, waits: number[]][] = [
  [0, 0, []],
  [1, 0, [1]],
  [3, 0, [2, 1]],
  [9, 0, [2, 4, 3]],
  [9, 0.9, [2, 4, 3]],
  [9, 1, [2, 4]],
  [9, 1.9, [2, 4]],
  [9, 9, []],
  [9, 20, []],
  [10, 2, [2, 4]],
  [600, 0, [2, 4, 8, 16, 32, 64, 128, 256, 90]],
];
for (const [seconds, took, expected] of cases) {
  test(`${seconds} s for tries of ${took} s: waits of ${expected.join(", ") || "none"}`, () => {
    assert.deepEqual(waits(seconds, took), expected);
  });
}
