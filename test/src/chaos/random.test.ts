import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRandom } from "./random.js";

const draw = (seed: number) => {
  const random = createRandom(seed);
  return Array.from({ length: 50 }, () => random.between(1, 6));
};

describe("createRandom", () => {
  it("gives the same numbers for the same seed, and others for another", () => {
    assert.deepEqual(draw(1), draw(1));
    assert.notDeepEqual(draw(1), draw(2));
    assert.deepEqual(new Set(draw(3)), new Set([1, 2, 3, 4, 5, 6]));
  });

  it("forks by name, however deep, and whatever was drawn before", () => {
    const random = createRandom(123_456_789);
    const fork = (name: string) => random.fork("load").fork(name).next();
    const first = fork("operator 1");
    random.next();
    assert.equal(fork("operator 1"), first);
    const others = Array.from({ length: 20 }, (_, n) => fork(`operator ${n}`));
    assert.equal(new Set(others).size, 20);
  });

  it("chooses some without repeating, all of them at most", () => {
    const chosen = createRandom(5).some(["a", "b", "c"], 9);
    assert.deepEqual(chosen.toSorted(), ["a", "b", "c"]);
  });
});
