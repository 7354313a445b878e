import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { tableOf } from "./table.js";

describe("tableOf()", () => {
  it("should show what meets its target and what does not, and leave out columns that nobody needs", () => {
    const table = tableOf([
      { what: "resident", unit: "MiB", value: 61.234, target: { most: 75 } },
      { what: "tasks", unit: "a second", value: 12_345.6, target: { least: 20_000 } },
      { what: "start", unit: "ms", value: 0.01234 },
    ]);
    assert.deepEqual(table.split("\n"), [
      "what             measured     target",
      "resident         61.2 MiB      <= 75  ok",
      "tasks     12,346 a second  >= 20,000  NOT",
      "start           0.0123 ms",
    ]);
  });

  it("should show floors and their ratios, and a question mark for what is no number", () => {
    const table = tableOf([
      { what: "a", unit: "ms", value: 5, floor: 2, note: "2 to 3" },
      { what: "b", unit: "ms", value: Number.NaN },
    ]);
    assert.deepEqual(table.split("\n"), [
      "what  measured  floor  ratio  note",
      "a         5 ms      2   2.50  2 to 3",
      "b         ? ms",
    ]);
  });
});
