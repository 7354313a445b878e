import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { VersionsSeen } from "./versions-seen.js";

describe("VersionsSeen", () => {
  it("is complete up to the first version that is missing", () => {
    const seen = new VersionsSeen(5n);
    seen.add(7n);
    assert.equal(seen.complete, 5n);
    seen.add(6n);
    assert.equal(seen.complete, 7n);
    seen.add(3n);
    assert.equal(seen.complete, 7n);
  });

  it("goes on from what was read", () => {
    const seen = new VersionsSeen(1n);
    seen.add(4n);
    seen.add(6n);
    seen.readUpTo(5n);
    assert.equal(seen.complete, 6n);
    seen.readUpTo(2n);
    assert.equal(seen.complete, 6n);
  });
});
