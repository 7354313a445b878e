import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Concurrency, OnFailure, TimesSchema } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually } from "./testing/eventually.js";
import { fails, serve } from "./testing/service.js";

const { STARTED, SUCCEEDED, FAILED } = TaskEvent;

/** A scheduler, a dispatcher with the sessions of hosts 1 and 2, and what a task waits for. */
async function serveWaits(t: TestContext) {
  const served = await serve(t);
  const d = await served.world.dispatcher();
  for (const host of [1, 2]) d.open(host, 1);
  await eventually("the dispatcher is watched", () => d.watched);
  /** Waits until the task waits for just these. */
  const waitsFor = async (taskId: bigint, ...expected: RegExp[]) => {
    let last = "";
    const found = await eventually(`${taskId}: ${expected.join(" ")}`, async () => {
      const answer = await served.client.explainTask({ taskId }).catch(() => undefined);
      const texts = answer?.waits.map(({ kind, text }) => `${kind} ${text}`);
      last = texts?.join("; ") ?? last;
      const fits =
        texts?.length === expected.length && expected.every((one, at) => one.test(texts[at] ?? ""));
      return fits && answer;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it was: ${last}`);
    });
    return found;
  };
  return { ...served, d, waitsFor };
}

describe("explainTask", () => {
  it("tells the moments of the attempt, in the order in which they come", async (t) => {
    const { store, client } = await serve(t);
    store.addRequest([[{ role: "A", hosts: [1] }]]);
    Object.assign(store.taskOf(1n), {
      ...{ status: Status.COMPLETED, queuedAtMs: 10n, receivedAtMs: 12n, reportedAtMs: 40n },
      times: create(TimesSchema, {
        createdAt: timestampFromMs(5),
        startedAt: timestampFromMs(15),
        endedAt: timestampFromMs(30),
      }),
    });
    const { ledger } = await client.explainTask({ taskId: 1n });
    assert.deepEqual(
      ledger.map(({ moment, atMs }) => [moment, Number(atMs)]),
      [
        ...[
          ["CREATED", 5],
          ["QUEUED", 10],
          ["DELIVERED", 12],
        ],
        ...[
          ["STARTED", 15],
          ["ENDED", 30],
          ["REPORTED", 40],
        ],
      ],
    );
  });

  it("names stage, agent, host, and nothing once it runs", async (t) => {
    const { store, d, waitsFor } = await serveWaits(t);
    store.addRequest([
      [{ role: "A", hosts: [1] }],
      [{ role: "B", hosts: [1] }],
      [{ role: "C", hosts: [3] }],
    ]);
    await waitsFor(1n, /^AGENT it was released/);
    await waitsFor(2n, /^STAGE stage 1 is not done: 1 of its tasks/);
    store.addRequest([[{ role: "D", hosts: [1] }]]);
    await waitsFor(4n, /^HOST_BUSY request 1 comes first on its host/);
    d.tell(store.report(1n, STARTED));
    await waitsFor(1n);
    for (const task of [1n, 2n]) d.tell(store.report(task, SUCCEEDED));
    await eventually("the second", () => d.taskIds.includes(2));
    d.tell(store.report(2n, SUCCEEDED));
    const { waits } = await waitsFor(3n, /^HOST_LOST its host's agent is not connected/);
    assert.ok((waits[0]?.waitedMs ?? -1n) >= 0n);
  });

  it("names pause, hold, back-off and batch", async (t) => {
    const { store, d, client, waitsFor } = await serveWaits(t);
    const held = store.addRequest([[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [1] }]], {
      onFailure: OnFailure.HOLD,
    });
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(store.report(1n, FAILED));
    await waitsFor(1n, /^HOLD it is HOLDING_FAILED: a person/);
    await waitsFor(2n, /^STAGE/, /^HOLD 1 of its request's tasks/);
    await client.pauseRequest({ requestId: held });
    await waitsFor(2n, /^PAUSE its request is paused: an operator/, /^STAGE/, /^HOLD/);
    store.addRequest([[{ role: "C", hosts: [2] }]], {
      retry: { maxAttempts: 2, backoff: { seconds: 60n } },
    });
    await eventually("it is sent", () => d.taskIds.includes(3));
    d.tell(store.report(3n, FAILED));
    await waitsFor(3n, /^BACKOFF the pause of 60000 ms before attempt 2/);
    store.addRequest([[{ role: "D", hosts: [1, 2], batches: [0, 1] }]]);
    await waitsFor(5n, /^BATCH batch 1 is not done/);
  });

  it("names caps, what runs alone, and a full queue", async (t) => {
    const { store, d, waitsFor } = await serveWaits(t);
    store.addRequest([[{ role: "A", hosts: [1, 2] }]], { maxInFlight: 1 });
    await eventually("one is sent", () => d.taskIds.length === 1);
    const waiting = d.taskIds[0] === 1 ? 2n : 1n;
    await waitsFor(waiting, /^CAP 1 of its request's tasks are released/);
    store.addRequest([[{ role: "B", hosts: [1] }]], { concurrency: Concurrency.EXCLUSIVE });
    await waitsFor(3n, /^EXCLUSIVE its request runs alone/, /^HOST_BUSY/);
    const beside = { concurrency: Concurrency.PARALLEL };
    store.addRequest([[{ role: "C", hosts: [2] }]], beside);
    await waitsFor(4n, /^EXCLUSIVE request 2 runs alone/);
  });

  it("tells no task that is not there, and nothing of one that is over", async (t) => {
    const { store, d, client, waitsFor } = await serveWaits(t);
    await fails(client.explainTask({ taskId: 9n }), Code.NotFound, /no task 9/);
    await fails(client.explainTask({}), Code.InvalidArgument, /task_id: 0 is not an id/);
    store.addRequest([[{ role: "A", hosts: [1] }]]);
    await eventually("it is sent", () => d.taskIds.length === 1);
    d.tell(store.report(1n, SUCCEEDED));
    const { task } = await waitsFor(1n);
    assert.equal(task?.taskId, 1n);
  });
});
