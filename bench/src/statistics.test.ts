import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { median, pairedRatio, percentile, serial, spread } from "./statistics.js";

describe("statistics", () => {
  it("should find percentiles between the values", () => {
    const values = [4, 1, 3, 2];
    assert.equal(median(values), 2.5);
    assert.equal(percentile(values, 0), 1);
    assert.equal(percentile(values, 1), 4);
    assert.equal(spread([1, 2, 3, 4, 5]), "2.0 to 4.0");
    assert.ok(Number.isNaN(median([])));
    assert.deepEqual(values, [4, 1, 3, 2], "the values stay as they are");
  });

  it("should add up the times of what is done one after the other", () => {
    assert.equal(serial(10, 10), 5);
    assert.equal(serial(4, 2, 4), 1);
  });

  it("should keep what slows both out of a ratio of pairs", () => {
    assert.equal(pairedRatio([2, 20, 2, 200], [1, 10, 1, 100]), 2);
  });
});
