import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../json.js";
import { stateOf } from "./thresholds.js";

const cases: [ok: Json, warning: Json, critical: Json, value: number, state: string][] = [
  [null, 200, 250, 199, "OK"],
  [null, 200, 250, 200, "WARNING"],
  [null, 200, 250, 250, "CRITICAL"],
  [null, 1, 1, 1, "CRITICAL"],
  [null, 20, 10, 21, "OK"],
  [null, 20, 10, 20, "WARNING"],
  [null, 20, 10, 10, "CRITICAL"],
  [5, 10, 20, 4, "UNKNOWN"],
  [5, 10, 20, 5, "OK"],
  [5, 10, 20, 10, "WARNING"],
  [30, 20, 10, 31, "UNKNOWN"],
  [30, 20, 10, 30, "OK"],
  [null, null, 10, 10, "CRITICAL"],
  [null, 10, null, 11, "WARNING"],
  [null, null, null, 1e9, "OK"],
  [null, "10", "20", 15, "WARNING"],
  [null, "x", {}, 15, "OK"],
];
for (const [ok, warning, critical, value, state] of cases) {
  test(`${value} with ok ${ok}, warning ${warning}, critical ${critical} is ${state}`, () => {
    const part = (threshold: Json) => (threshold === null ? {} : { value: threshold });
    const reporting = { ok: part(ok), warning: part(warning), critical: part(critical) };
    assert.equal(stateOf(value, { reporting }), state);
  });
}
