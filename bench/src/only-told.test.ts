import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BenchResult } from "./measure.js";
import { onlyTold } from "./only-told.js";
import { until } from "./until.js";

describe("onlyTold()", () => {
  it("should resolve with what was found", async () => {
    const found = { measures: [{ what: "it", unit: "ms", value: 1 }], notes: ["so"] };
    assert.equal(await onlyTold("The run", async () => found), found);
  });

  it("should make a note of what takes too long", async () => {
    const { signal } = new AbortController();
    const run = () =>
      until<BenchResult>(() => false, "the end", { signal, mostMs: 10, everyMs: 1 });
    assert.deepEqual(await onlyTold("The run", run), {
      measures: [],
      notes: ["The run is not measured: waited 0.01 s for the end."],
    });
  });

  it("should reject with anything else", async () => {
    const run = () => Promise.reject(new Error("it has ended"));
    await assert.rejects(onlyTold("The run", run), { message: "it has ended" });
  });
});
