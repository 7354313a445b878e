import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { aggregate, type Reporting } from "./aggregate.js";

const { OK, WARNING, CRITICAL, UNKNOWN } = AlertState;

describe("aggregate()", () => {
  const share: Reporting = { warning: { value: 0.1 }, critical: { value: 0.3 } };
  const percent: Reporting = {
    type: "PERCENT",
    ok: { text: "good: {0}" },
    warning: { text: "{1} of {0}, {2}%", value: 10 },
    critical: { text: "{1} of {0}!", value: 30 },
  };
  const none = { ok: 0, warning: 0, critical: 0, unknown: 0 };
  const cases: [string, object, Reporting, AlertState, string][] = [
    ["no alerts", {}, percent, UNKNOWN, "There are no alerts of disk"],
    [
      "one unknown",
      { critical: 9, unknown: 1 },
      percent,
      UNKNOWN,
      "1 of 10 alerts of disk are UNKNOWN",
    ],
    ["all well", { ok: 3 }, percent, OK, "good: 3"],
    ["below", { ok: 91, warning: 9 }, percent, OK, "good: 100"],
    ["at the first threshold", { ok: 9, warning: 1 }, percent, WARNING, "1 of 10, 10%"],
    [
      "warnings and criticals alike",
      { ok: 7, warning: 2, critical: 1 },
      percent,
      CRITICAL,
      "3 of 10!",
    ],
    ["a share", { ok: 2, critical: 1 }, share, CRITICAL, "affected: [1], total: [3]"],
    ["a share, less", { ok: 8, critical: 1 }, share, WARNING, "affected: [1], total: [9]"],
    ["no thresholds", { critical: 1 }, {}, OK, "affected: [1], total: [1]"],
    [
      "a text that is none",
      { ok: 1 },
      { ok: { text: "{0" } },
      OK,
      "affected: [0], total: [1] (its text cannot be filled: {0 has no })",
    ],
  ];
  for (const [what, counts, reporting, state, text] of cases) {
    it(what, () => {
      assert.deepEqual(aggregate("disk", { ...none, ...counts }, reporting), { state, text });
    });
  }
});
