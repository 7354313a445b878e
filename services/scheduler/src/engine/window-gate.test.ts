import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { eventually } from "../testing/eventually.js";
import { run } from "../testing/runs.js";
import { World } from "../testing/world.js";
import type { Engine } from "./engine.js";
import { type Window, WindowGate } from "./window-gate.js";

const open: Window = { openingAt: (now) => ({ opensMs: now - 1_000, closesMs: now + 60_000 }) };
const shut: Window = { openingAt: (now) => ({ opensMs: now + 60_000, closesMs: now + 90_000 }) };

function waits(engine: Engine, world: World, taskId: bigint): string[] {
  const { requestId, stageId, hostId, status, attempt, changeVersion, cancelRequested } =
    world.store.taskOf(taskId);
  const told = { taskId, requestId, stageId, hostId, status, attempt, cancelRequested };
  const found = engine.waitsOf({ ...told, version: changeVersion, sessionEpoch: 0n });
  return (found ?? []).map(({ kind, text }) => `${kind}: ${text}`);
}

describe("requests that name a maintenance window", () => {
  it("are released only once it is open, and hold up nobody before", async (t) => {
    const world = await World.start(t);
    const dispatcher = await world.dispatcher();
    dispatcher.open(1, 1);
    const windowed = world.store.addRequest([[{ role: "A", hosts: [1] }]], { window: "NIGHT" });
    const other = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    const { engine } = await world.scheduler();
    world.doAll(dispatcher);
    await world.statuses(other, "COMPLETED");
    assert.deepEqual(world.store.statuses(windowed), ["PENDING"]);
    assert.match(waits(engine, world, 1n)[0] ?? "", /^WINDOW: .*not read yet when window NIGHT/);

    engine.setWindows(new Map());
    assert.match(waits(engine, world, 1n)[0] ?? "", /window NIGHT does not exist any more/);
    engine.setWindows(new Map([["NIGHT", shut]]));
    const [text = ""] = waits(engine, world, 1n);
    assert.match(text, /^WINDOW: window NIGHT is shut until \d{4}-.*Z, and open then until .*Z$/);
    // Changed while the request waits for it.
    engine.setWindows(new Map([["NIGHT", open]]));
    await world.statuses(windowed, "COMPLETED");
  });

  it("wake by themselves when it opens, and release nothing more once it shuts", async (t) => {
    const world = await World.start(t);
    const dispatcher = await world.dispatcher();
    dispatcher.open(1, 1);
    dispatcher.open(2, 1);
    const stages = [[{ role: "A", hosts: [1] }], [{ role: "B", hosts: [2] }]];
    const requestId = world.store.addRequest(stages, { window: "NIGHT" });
    const { engine } = await world.scheduler();
    const opensMs = Date.now() + 300;
    let closesMs = opensMs + 60_000;
    const openingAt = (now: number) => (now < closesMs ? { opensMs, closesMs } : undefined);
    engine.setWindows(new Map([["NIGHT", { openingAt }]]));
    await world.statuses(requestId, "QUEUED", "PENDING");
    assert.ok(Date.now() >= opensMs, "released before it opened");
    // Only now, or a slow machine would find it shut before it releases anything.
    closesMs = Date.now() + 100;
    engine.setWindows(new Map([["NIGHT", { openingAt }]]));
    await eventually("the window to shut", () => Date.now() > closesMs + 50);
    // What runs when it shuts ends normally; what follows waits.
    world.doAll(dispatcher);
    const { command } = dispatcher.enqueued[0] ?? {};
    assert.ok(command);
    dispatcher.onCommand(command);
    await world.statuses(requestId, "COMPLETED", "PENDING");
    assert.match(waits(engine, world, 2n).join("\n"), /WINDOW: window NIGHT is shut and never/);
  });

  it("wait for it again after a take-over", async (t) => {
    const world = await World.start(t);
    const dispatcher = await world.dispatcher();
    dispatcher.open(1, 1);
    const requestId = world.store.addRequest([[{ role: "A", hosts: [1] }]], { window: "NIGHT" });
    const first = await world.scheduler();
    first.engine.setWindows(new Map([["NIGHT", shut]]));
    await first.stop();
    const second = await world.scheduler(2n);
    await eventually("the take-over", () => second.engine.drives(requestId));
    const plain = world.store.addRequest([[{ role: "A", hosts: [1] }]]);
    await world.statuses(plain, "QUEUED");
    assert.deepEqual(world.store.statuses(requestId), ["PENDING"]);
    second.engine.setWindows(new Map([["NIGHT", open]]));
    await world.statuses(requestId, "QUEUED");
  });
});

describe("WindowGate", () => {
  it("tells once of each request whose window has opened or shut, and forgets what is removed", () => {
    let now = 1_000;
    const told: string[] = [];
    const gate = new WindowGate(
      (one) => told.push(`${one.requestId} ${one.windowShut ? "shut" : "open"}`),
      () => now,
    );
    const night = run({ window: "NIGHT", concurrency: Concurrency.EXCLUSIVE });
    const gone = run({ window: "NIGHT", requestId: 2n });
    assert.equal(night.windowShut, true);
    assert.equal(night.parked, true);
    assert.deepEqual(night.releasable(1n), []);
    gate.add(run({ requestId: 3n }));
    gate.add(night);
    gate.add(gone);
    assert.deepEqual(told, []);
    const window = { openingAt: () => ({ opensMs: 2_000, closesMs: 3_000 }) };
    gate.setWindows(new Map([["NIGHT", window]]));
    assert.deepEqual(told, []);
    now = 2_000;
    gate.setWindows(new Map([["NIGHT", window]]));
    assert.deepEqual(told, ["1 open", "2 open"]);
    assert.equal(night.parked, false);
    assert.equal(night.releasable(1n)[0]?.status, Status.PENDING);
    gate.setWindows(new Map([["NIGHT", window]]));
    gate.remove(gone);
    gate.setWindows(new Map());
    assert.deepEqual(told.slice(2), ["1 shut"]);
    gate.stop();
  });
});
