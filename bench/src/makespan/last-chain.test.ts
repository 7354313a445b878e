import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TaskSchema } from "@howdah/proto/howdah/v1/request";
import type { Ran } from "./hops.js";
import { lastChain } from "./last-chain.js";

/** A task of a role on a host that was released, received, started, ended and reported at these times, a millisecond too late. */
function ran(role: number, host: string, ...times: [number, number, number, number, number]): Ran {
  const [queued, received, start, end, reported] = times;
  const task = create(TaskSchema, {
    ...{ taskId: BigInt(start), hostName: host, queuedAtMs: BigInt(queued) },
    ...{ receivedAtMs: BigInt(received), reportedAtMs: BigInt(reported) },
    times: { startedAt: timestampFromMs(start), endedAt: timestampFromMs(end) },
  });
  return { task, job: { role, host, durationMs: end - start - 1 } };
}

describe("lastChain()", () => {
  const first = ran(0, "a", 110, 115, 120, 200, 205);
  const sentAhead = ran(1, "a", 110, 116, 201, 300, 304);
  const afterRole = ran(2, "b", 310, 318, 319, 400, 402);
  const nextOfHost = ran(3, "b", 405, 409, 409, 500, 501);
  const aside = ran(0, "c", 110, 112, 113, 350, 352);
  const all = [nextOfHost, aside, first, afterRole, sentAhead];
  const order = [[], [], [1], []];

  it("goes from the last end back to what each start waited for", () => {
    const chain = lastChain(all, order, 100);
    assert.deepEqual(
      chain.map(({ ran: { task }, after, gapMs }) => [Number(task.taskId), after, gapMs]),
      [
        [120, "nothing", 20],
        [201, "host", 1],
        [319, "role", 19],
        [409, "host", 9],
      ],
    );
  });

  it("divides each gap, of which nothing counts that was done before the end it begins with", () => {
    const parts = lastChain(all, order, 100).map((link) => [
      ...[link.reportMs, link.decideMs, link.deliverMs, link.startMs],
    ]);
    assert.deepEqual(parts, [
      [0, 10, 5, 5],
      [0, 0, 0, 1],
      [4, 6, 8, 1],
      [2, 3, 4, 0],
    ]);
  });

  it("tells how much longer the tasks took than they were to take", () => {
    assert.deepEqual(
      lastChain(all, order, 100).map(({ overMs }) => overMs),
      [1, 1, 1, 1],
    );
  });

  it("is empty when nothing ran", () => {
    assert.deepEqual(lastChain([], [], 100), []);
  });
});
