import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ListUnfinishedResponseSchema } from "@howdah/proto/howdah/v1/store_request_reading";
import { pino } from "pino";
import { eventually } from "../testing/eventually.js";
import type { RequestRun } from "./request-run.js";
import { StoreReader, type StoreReaderOptions } from "./store-reader.js";

const everyMs = 20;

/** A reader of an empty store, and how often the pause between two passes was over before it had made so many. */
function read(t: TestContext, runs: ReadonlyMap<bigint, RequestRun>, passed = () => {}) {
  const stop = new AbortController();
  let passes = 0;
  const store = {
    listUnfinished: async () => {
      passes += 1;
      passed();
      return create(ListUnfinishedResponseSchema);
    },
    listTasks: () => Promise.reject(new Error("is not asked for")),
  };
  const reader = new StoreReader({
    ...{ runs, everyMs, signal: stop.signal, log: pino({ level: "silent" }) },
    ...{ found() {}, changed() {}, read() {}, stood() {} },
    store: store as unknown as StoreReaderOptions["store"],
  });
  const reading = reader.keepReading();
  t.after(async () => {
    stop.abort();
    await reading;
  });
  async function pausesUntil(count: number): Promise<number> {
    let pauses = 0;
    const ticking = (async () => {
      for (; passes < count; pauses += 1) await sleep(everyMs);
    })();
    await eventually(`${count} passes`, () => passes >= count);
    await ticking;
    return pauses;
  }
  return { reader, pausesUntil };
}

describe("StoreReader.keepReading()", () => {
  it("makes every third pass only while nothing is driven", async (t) => {
    const { pausesUntil } = read(t, new Map());
    const pauses = await pausesUntil(5);
    assert.ok(pauses >= 12, `5 passes in ${pauses} pauses`);
  });

  it("makes each while a request is driven", async (t) => {
    const { pausesUntil } = read(t, new Map([[1n, {} as RequestRun]]));
    const pauses = await pausesUntil(5);
    assert.ok(pauses <= 8, `5 passes in ${pauses} pauses`);
  });

  it("makes the next one when a request may have been made unseen", async (t) => {
    const { reader, pausesUntil } = read(t, new Map(), () => reader.suspect(() => {}, 0));
    reader.suspect(() => {}, 0);
    const pauses = await pausesUntil(5);
    assert.ok(pauses <= 8, `5 passes in ${pauses} pauses`);
  });

  it("makes the next one too when the store could not tell", async (t) => {
    const { reader, pausesUntil } = read(t, new Map(), () => {
      throw new ConnectError("away", Code.Unavailable);
    });
    reader.suspect(() => {}, 0);
    const pauses = await pausesUntil(5);
    assert.ok(pauses <= 8, `5 passes in ${pauses} pauses`);
  });

  it("looks for what may yet be made until it cannot be any more", async (t) => {
    const { reader, pausesUntil } = read(t, new Map());
    const begun = performance.now();
    const looked: number[] = [];
    for (const withinMs of [0, 200]) {
      reader.suspect(() => looked.push(withinMs), withinMs);
    }
    await eventually("the first", () => looked.length === 1);
    assert.deepEqual(looked, [0]);
    const pauses = await pausesUntil(5);
    assert.ok(pauses <= 8, `5 passes in ${pauses} pauses`);
    await eventually("both", () => looked.length === 2);
    assert.ok(performance.now() - begun >= 200);
  });
});
