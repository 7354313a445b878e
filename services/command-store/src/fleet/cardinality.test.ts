import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkCardinality, parseCardinality } from "./cardinality.js";

describe("cardinality", () => {
  // For each text: the numbers of hosts, of a cluster of 4, that are right.
  const cases: [text: string, right: number[]][] = [
    ["1", [1]],
    ["0", [0]],
    ["1-2", [1, 2]],
    ["0-1", [0, 1]],
    ["0+", [0, 1, 2, 3, 4]],
    ["1+", [1, 2, 3, 4]],
    ["3+", [3, 4]],
    ["ALL", [4]],
    [" all ", [4]],
    ["", [0, 1, 2, 3, 4]],
  ];
  for (const [text, right] of cases) {
    it(`reads ${JSON.stringify(text)}`, () => {
      const cardinality = parseCardinality(text);
      assert.ok(cardinality);
      const found = [0, 1, 2, 3, 4].filter(
        (count) => checkCardinality(cardinality, count, 4) === undefined,
      );
      assert.deepEqual(found, right);
    });
  }

  it("does not read anything else", () => {
    for (const text of ["x", "-1", "1-", "2-1", "1++", "1,2", "1.5", "+"]) {
      assert.equal(parseCardinality(text), undefined, text);
    }
  });

  it("says what is wrong", () => {
    const problem = (text: string, count: number) => {
      const cardinality = parseCardinality(text);
      assert.ok(cardinality);
      return checkCardinality(cardinality, count, 4);
    };
    assert.equal(problem("1", 0), "is on 0 hosts, needs 1 host");
    assert.equal(problem("1", 2), "is on 2 hosts, may be on 1 host");
    assert.equal(problem("1-2", 3), "is on 3 hosts, may be on at most 2 hosts");
    assert.equal(problem("1+", 0), "is on 0 hosts, needs at least 1 host");
    assert.equal(problem("ALL", 3), "is on 3 hosts, must be on all 4 of the cluster");
  });
});
