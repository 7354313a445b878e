import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checks } from "./check/check-history.js";
import { tellViolation } from "./check/tell-violation.js";
import { runChaos } from "./run-chaos.js";

// `npm run chaos` runs longer, with other seeds and more agents.
const seed = 20_251;
const skip =
  process.env.HOWDAH_TEST_CHAOS === "0"
    ? "skipped: HOWDAH_TEST_CHAOS=0 is set; it takes about two minutes"
    : false;

describe("chaos", () => {
  it("holds the invariants while things go wrong", { timeout: 540_000, skip }, async (t) => {
    const { history, violations, operations, faults, ...result } = await runChaos({
      ...{ seed, minutes: 1, agents: 8, signal: t.signal },
      log: (line) => t.diagnostic(line),
    });
    for (const reason of result.skipped) t.diagnostic(`skipped: ${reason}`);
    t.diagnostic(`${operations.size} kinds of operations, ${faults.size} kinds of faults`);
    assert.equal(
      violations.length,
      0,
      violations
        .slice(0, 3)
        .map((violation) => tellViolation(history, violation))
        .join("\n"),
    );
    // What was looked at is worth something.
    assert.ok(history.scripts.length > 0 && history.journals.length > 0 && checks.length >= 10);
    assert.ok([...faults.values()].reduce((a, b) => a + b) >= 5);
  });
});
