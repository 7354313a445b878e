import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { summaryOf, tableOf } from "./table.js";
import { outcomeOf } from "./testing/outcome.js";

describe("tableOf()", () => {
  it("should show what meets its target and what does not, and leave out columns that nobody needs", () => {
    const table = tableOf([
      { what: "resident", unit: "MiB", value: 61.234, target: { most: 75 } },
      { what: "tasks", unit: "a second", value: 12_345.6, target: { least: 20_000 } },
      { what: "start", unit: "ms", value: 0.01234 },
    ]);
    assert.deepEqual(table.split("\n"), [
      "what             measured     target  met",
      "resident         61.2 MiB      <= 75  yes",
      "tasks     12,346 a second  >= 20,000  NO",
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

describe("summaryOf()", () => {
  it("should show all rows in one table, and why one is not measured, however long that is", () => {
    const table = summaryOf([
      outcomeOf("plan", [
        { what: "3,000 x 20", unit: "s", value: 0.21, target: { most: 0.3 }, note: "not shown" },
        { what: "10,000 x 30", unit: "s", value: 2.5, floor: 2, target: { most: 2 } },
      ]),
      outcomeOf("queue", [], { skipped: "there is no redis-server on the PATH, and apt has none" }),
      outcomeOf("idle", [], { failed: "no answer" }),
    ]);
    assert.deepEqual(table.split("\n"), [
      "row    what         measured  floor  ratio  target  met",
      "plan   3,000 x 20     0.21 s                <= 0.3  yes",
      "plan   10,000 x 30     2.5 s      2   1.25    <= 2  NO",
      "queue  skipped: there is no redis-server on the PATH, and apt has none",
      "idle   could not be measured: no answer",
    ]);
  });
});
