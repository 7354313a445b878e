import assert from "node:assert/strict";
import { test } from "node:test";
import { openStreamFloor } from "./stream-floor.js";

test("the bare stream carries every byte, through one stream and through several", async () => {
  const floor = await openStreamFloor(3);
  try {
    for (const streams of [1, 3]) {
      // It rejects when the other process counts other than was sent.
      const rate = await floor.rate({ streams, bytesEach: 1_000_003, chunkBytes: 65_536 });
      assert.ok(rate > 0 && Number.isFinite(rate));
    }
  } finally {
    await floor.close();
  }
});
