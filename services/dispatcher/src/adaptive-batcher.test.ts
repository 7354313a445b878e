import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { createAdaptiveBatcher } from "./adaptive-batcher.js";
import { eventually } from "./testing/eventually.js";
import { deferred } from "./testing/fixture.js";

const log = pino({ level: "silent" });

function batcherOf(send: (items: number[]) => Promise<number[]>, signal: AbortSignal) {
  const settled: number[] = [];
  const refused: number[] = [];
  const batcher = createAdaptiveBatcher<number, number>({
    name: "numbers",
    maxRows: 100,
    maxBytes: 1_000,
    sizeOf: (item) => (item >= 1_000 ? 600 : 1),
    send,
    settled: (item) => settled.push(item),
    refused: (item) => refused.push(item),
    signal,
    log,
  });
  return { batcher, settled, refused };
}

test("batches are bounded by rows and bytes, keep the order, and hold at least one item", async () => {
  const gate = deferred();
  const batches: number[][] = [];
  const { batcher, settled } = batcherOf(async (items) => {
    batches.push(items);
    await gate.promise;
    return items;
  }, new AbortController().signal);
  const items = [0, ...Array.from({ length: 150 }, (_, index) => index + 1), 1_000, 1_001, 1_002];
  batcher.add(0);
  await eventually("the first", () => batches.length === 1);
  for (const item of items.slice(1)) batcher.add(item);
  assert.equal(batcher.pending, items.length);
  gate.resolve();
  await batcher.flushed(new AbortController().signal);
  assert.deepEqual(settled, items);
  assert.deepEqual(
    batches.map((batch) => batch.length),
    [1, 100, 51, 1, 1],
  );
  assert.equal(batcher.pendingBytes, 0);
});

test("an item on which the receiver always fails rests while the others go on", async (t) => {
  const stop = new AbortController();
  t.after(() => stop.abort());
  const { batcher, settled, refused } = batcherOf(async (items) => {
    if (items.includes(13)) throw new ConnectError("a bug", Code.Internal);
    return items;
  }, stop.signal);
  for (let item = 0; item < 16; item += 1) batcher.add(item);
  await eventually("the others", () => settled.length === 15);
  assert.ok(!settled.includes(13));
  assert.deepEqual(refused, []);
  assert.equal(batcher.pending, 1);
});

test("a stop leaves what is not settled, and does not wait for it", async () => {
  const stop = new AbortController();
  const { batcher, settled } = batcherOf(
    () => Promise.reject(new ConnectError("away", Code.Unavailable)),
    stop.signal,
  );
  batcher.add(1);
  const flushed = batcher.flushed(stop.signal);
  stop.abort();
  await flushed;
  assert.deepEqual(settled, []);
});
