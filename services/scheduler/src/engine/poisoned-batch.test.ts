import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import type { RecordTransitionsRequest } from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { eventually, stays } from "../testing/eventually.js";
import { World } from "../testing/world.js";

// Long enough that no reconcile hides what an event should have done.
const never = 60_000;

/** A world with a host for each of `requests` requests of one task. */
async function start(t: Parameters<typeof World.start>[0], requests: number) {
  const world = await World.start(t);
  const d = await world.dispatcher();
  const { store } = world;
  for (let host = 1; host <= requests; host += 1) {
    d.open(host, 1);
    store.addRequest([[{ role: "A", hosts: [host] }]]);
  }
  const poison = (requestId: bigint, code: Code) => {
    store.refuse = (message: RecordTransitionsRequest) =>
      message.requests.some((part) => part.requestId === requestId)
        ? new ConnectError("a bad part", code)
        : undefined;
  };
  return { world, d, store, poison };
}

describe("a request about which the store refuses what is asked", () => {
  for (const code of [Code.InvalidArgument, Code.Internal, Code.Unknown, Code.ResourceExhausted]) {
    it(`is set aside, and all others go on: ${Code[code]}`, async (t) => {
      const { world, d, store, poison } = await start(t, 9);
      poison(4n, code);
      const { engine } = await world.scheduler(1n, { reconcileMs: never });
      await eventually("all others", () => d.taskIds.length === 8);
      assert.deepEqual(store.statuses(4n), ["PENDING"]);
      // 9 at once, then halves of it until one is left: at most two calls each time.
      const calls = store.recorded.length;
      assert.ok(calls <= 1 + 2 * Math.ceil(Math.log2(9)), `${calls} calls`);
      await eventually("it says why", () => {
        const [wait] = engine.waitsOf({ ...store.taskOf(4n), version: 1n }) ?? [];
        return wait?.kind === "PAUSE" && /the store refuses .*a bad part/.test(wait.text);
      });
      await stays("it is not asked for at once", 100, () => store.recorded.length === calls);
    });
  }

  it("holds up no newer request on its host", async (t) => {
    const { world, d, store, poison } = await start(t, 1);
    store.addRequest([[{ role: "B", hosts: [1] }]]);
    poison(1n, Code.InvalidArgument);
    await world.scheduler(1n, { reconcileMs: never });
    await eventually("the newer one", () => d.taskIds.includes(2));
  });

  it("is tried again after a while, and goes on when the store takes it", async (t) => {
    const { world, d, store, poison } = await start(t, 2);
    poison(1n, Code.Internal);
    await world.scheduler(1n, { reconcileMs: never, setAsideMs: 20 });
    await eventually("tried again and again", () => store.recorded.length >= 5);
    store.refuse = () => undefined;
    await eventually("it goes on", () => d.taskIds.includes(1));
    d.tell(store.report(1n, TaskEvent.SUCCEEDED));
    await world.statuses(1n, "COMPLETED");
  });

  it("waits longer each time", async (t) => {
    const { world, store, poison } = await start(t, 1);
    poison(1n, Code.Internal);
    const times: number[] = [];
    const { refuse } = store;
    store.refuse = (message) => {
      times.push(performance.now());
      return refuse(message);
    };
    await world.scheduler(1n, { reconcileMs: never, setAsideMs: 40 });
    await eventually("four tries", () => times.length === 4);
    const pauses = times.slice(1).map((at, before) => at - (times[before] ?? 0));
    assert.ok((pauses[1] ?? 0) >= 75 && (pauses[2] ?? 0) >= 155, `${pauses}`);
  });

  it("tells who cancels it, and is cancelled once the store takes that", async (t) => {
    const { world, store, poison } = await start(t, 1);
    poison(1n, Code.Internal);
    const { engine } = await world.scheduler(1n, { reconcileMs: never, setAsideMs: never });
    await eventually("it is set aside", () => {
      const [wait] = engine.waitsOf({ ...store.taskOf(1n), version: 1n }) ?? [];
      return wait?.kind === "PAUSE";
    });
    await assert.rejects(
      engine.cancelRequest(1n, "enough", AbortSignal.timeout(10_000)),
      /request 1: the store refuses what is to be recorded of it \(a bad part\)/,
    );
    store.refuse = () => undefined;
    await engine.pauseRequest(
      1n,
      {
        standing: {
          ...{ run: 1, stopping: false, cancelRequested: false, reason: "" },
          ...{ paused: false, pauseReason: "" },
        },
        ...{ paused: true, reason: "asked again" },
      },
      AbortSignal.timeout(10_000),
    );
    await world.statuses(1n, "ABORTED");
  });
});

describe("a store that is away", () => {
  for (const code of [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted]) {
    it(`is asked the same again: ${Code[code]}`, async (t) => {
      const { world, d, store } = await start(t, 3);
      let refusals = 2;
      store.refuse = () => {
        refusals -= 1;
        return refusals >= 0 ? new ConnectError("away", code) : undefined;
      };
      await world.scheduler(1n, { reconcileMs: never, setAsideMs: never });
      await eventually("all", () => d.taskIds.length === 3);
      assert.deepEqual(
        store.recorded.slice(0, 3).map(({ requests }) => requests.length),
        [3, 3, 3],
      );
    });
  }
});
