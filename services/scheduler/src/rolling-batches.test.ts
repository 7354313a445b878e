import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RollingSchema } from "@howdah/proto/howdah/v1/operation";
import { batchesOf } from "./rolling-batches.js";

function cut(hosts: number, rolling: MessageInitShape<typeof RollingSchema>): number[] {
  const names = Array.from({ length: hosts }, (_, at) => `h${String(at).padStart(5, "0")}`);
  const batches = batchesOf(names.toReversed(), create(RollingSchema, rolling));
  return names.map((name) => batches.get(name) ?? -1);
}

describe("batchesOf()", () => {
  it("puts all in one batch when nothing is rolling, or when only a budget is given", () => {
    assert.equal(batchesOf(["h1", "h2"], undefined).get("h2") ?? 0, 0);
    assert.deepEqual(cut(3, { maxFailures: 1 }), [0, 0, 0]);
  });

  it("cuts by number, by name of host", () => {
    assert.deepEqual(cut(5, { batch: { case: "batchSize", value: 2 } }), [0, 0, 1, 1, 2]);
  });

  it("cuts by percent of all hosts, rounded up", () => {
    const batch = { case: "batchPercent", value: 34 } as const;
    assert.deepEqual(cut(5, { batch }), [0, 0, 1, 1, 2]);
    assert.deepEqual(cut(2, { batch: { case: "batchPercent", value: 1 } }), [0, 1]);
  });

  it("sends the canary first, alone", () => {
    assert.deepEqual(cut(4, { canary: 1 }), [0, 1, 1, 1]);
    const batch = { case: "batchSize", value: 2 } as const;
    assert.deepEqual(cut(5, { canary: 2, batch }), [0, 0, 1, 1, 2]);
    assert.deepEqual(cut(2, { canary: 9, batch }), [0, 0]);
  });

  it("refuses more batches than the store takes", () => {
    const batch = { case: "batchSize", value: 1 } as const;
    assert.equal(cut(32_768, { batch }).at(-1), 32_767);
    assert.throws(() => cut(32_769, { batch }), /options.rolling: makes 32769 batches/);
  });
});
