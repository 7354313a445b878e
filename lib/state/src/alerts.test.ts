import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";
import { type AlertStanding, nextAlert } from "./alerts.js";

const { OK, WARNING, CRITICAL, UNKNOWN, SKIPPED, UNSPECIFIED } = AlertState;
const { SOFT, HARD } = AlertFirmness;
const at = (state: AlertState, firmness: AlertFirmness, occurrences: number): AlertStanding => ({
  state,
  firmness,
  occurrences,
});

describe("nextAlert()", () => {
  const once = { tolerance: 1, aggregate: false };
  const thrice = { tolerance: 3, aggregate: false };
  const aggregate = { tolerance: 3, aggregate: true };
  const most = 2 ** 31 - 1;
  const cases = [
    ["new", undefined, CRITICAL, once, "changed", at(CRITICAL, HARD, 1), true],
    [
      "new is HARD whatever the tolerance",
      undefined,
      CRITICAL,
      thrice,
      "changed",
      at(CRITICAL, HARD, 1),
      true,
    ],
    ["new and skipped", undefined, SKIPPED, once, "drop", undefined, false],
    ["skipped", at(CRITICAL, SOFT, 2), SKIPPED, thrice, "told", at(CRITICAL, SOFT, 2), false],
    ["of no state", at(OK, HARD, 2), UNSPECIFIED, once, "drop", undefined, false],
    [
      "of a state that nobody knows",
      at(OK, HARD, 2),
      77 as AlertState,
      once,
      "drop",
      undefined,
      false,
    ],
    ["the same OK", at(OK, HARD, 7), OK, once, "same", at(OK, HARD, 8), false],
    [
      "the same, still SOFT",
      at(WARNING, SOFT, 1),
      WARNING,
      thrice,
      "same",
      at(WARNING, SOFT, 2),
      false,
    ],
    [
      "the same, often enough",
      at(WARNING, SOFT, 2),
      WARNING,
      thrice,
      "same",
      at(WARNING, HARD, 3),
      true,
    ],
    ["the same, HARD", at(WARNING, HARD, 3), WARNING, thrice, "same", at(WARNING, HARD, 4), false],
    [
      "the same, tolerance lowered since",
      at(WARNING, SOFT, 1),
      WARNING,
      once,
      "same",
      at(WARNING, HARD, 2),
      true,
    ],
    ["the same, for ever", at(OK, HARD, most), OK, once, "same", at(OK, HARD, most), false],
    ["worse from OK", at(OK, HARD, 9), WARNING, once, "changed", at(WARNING, HARD, 1), true],
    [
      "worse from OK, tolerated",
      at(OK, HARD, 9),
      WARNING,
      thrice,
      "changed",
      at(WARNING, SOFT, 1),
      false,
    ],
    [
      "another, tolerated",
      at(WARNING, SOFT, 1),
      CRITICAL,
      thrice,
      "changed",
      at(CRITICAL, SOFT, 2),
      false,
    ],
    [
      "another, often enough",
      at(WARNING, SOFT, 2),
      UNKNOWN,
      thrice,
      "changed",
      at(UNKNOWN, HARD, 3),
      true,
    ],
    ["back to OK", at(CRITICAL, HARD, 4), OK, thrice, "changed", at(OK, HARD, 1), true],
    ["back to OK from SOFT", at(CRITICAL, SOFT, 2), OK, thrice, "changed", at(OK, HARD, 1), true],
    [
      "an aggregate is sure",
      at(OK, HARD, 1),
      CRITICAL,
      aggregate,
      "changed",
      at(CRITICAL, HARD, 1),
      true,
    ],
  ] as const;
  for (const [what, was, found, rules, kind, next, firm] of cases) {
    it(what, () => {
      const step = nextAlert(was, found, rules);
      assert.deepEqual(step, { kind, firm, ...(next && { next }) });
    });
  }
});
