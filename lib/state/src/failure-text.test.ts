import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { roleFailure } from "./failure-text.js";

describe("roleFailure()", () => {
  it("names the stage as people count, the role, and how many hosts came to what", () => {
    const counts = { [Status.FAILED]: 2, [Status.TIMEDOUT]: 1, [Status.COMPLETED]: 7 };
    assert.equal(
      roleFailure(0, "WORKER", counts),
      "stage 1: WORKER failed on 2 hosts, timed out on 1 host",
    );
  });
});
