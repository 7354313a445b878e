import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { createAdaptiveBatcher } from "./adaptive-batcher.js";
import { eventually } from "./testing/eventually.js";
import { deferred } from "./testing/fixture.js";

const log = pino({ level: "silent" });

function batcherOf(
  send: (items: number[]) => Promise<number[]>,
  signal: AbortSignal,
  atOnce?: number,
) {
  const settled: number[] = [];
  const refused: number[] = [];
  const batcher = createAdaptiveBatcher<number, number>({
    name: "numbers",
    maxRows: 100,
    maxBytes: 1_000,
    ...(atOnce !== undefined && { atOnce }),
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

test("full batches are under way side by side, as many as may be; what fills none waits", async () => {
  const gates: ReturnType<typeof deferred>[] = [];
  const batches: number[][] = [];
  const stop = new AbortController();
  const send = async (items: number[]) => {
    batches.push(items);
    const gate = deferred();
    gates.push(gate);
    await gate.promise;
    return items;
  };
  const { batcher, settled } = batcherOf(send, stop.signal, 2);
  batcher.add(1);
  await eventually("the first", () => batches.length === 1);
  for (let item = 2; item <= 100; item += 1) batcher.add(item);
  // That no other begins can only be waited for.
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(batches.length, 1);
  for (let item = 101; item <= 350; item += 1) batcher.add(item);
  await eventually("the second", () => batches.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([batches[1]?.at(0), batches[1]?.at(-1), batches.length], [2, 101, 2]);
  // The one that began later ends first: there is enough for another full one, and the rest waits for the last one under way.
  gates[1]?.resolve();
  await eventually("the third", () => batches.length === 3);
  gates[2]?.resolve();
  await eventually("the fourth", () => batches.length === 4);
  gates[3]?.resolve();
  await eventually("its end", () => settled.length === 300);
  assert.equal(batches.length, 4);
  gates[0]?.resolve();
  await eventually("the rest", () => batches.length === 5);
  gates[4]?.resolve();
  await batcher.flushed(stop.signal);
  assert.deepEqual(batches[4]?.length, 49);
  assert.deepEqual(
    settled.toSorted((a, b) => a - b),
    Array.from({ length: 350 }, (_, n) => n + 1),
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
