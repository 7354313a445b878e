import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LeadershipOptions, takeTurns } from "./leadership.js";
import { eventually, stays } from "./testing/eventually.js";
import { World } from "./testing/world.js";

const durationMs = 300;

/** A scheduler that does nothing but lead. */
function contender(world: World, instance: string, options: Partial<LeadershipOptions> = {}) {
  const stopping = new AbortController();
  const contender = {
    /** The tokens of its turns, newest last. */
    tokens: [] as bigint[],
    leads: false,
    turns,
    /** Ends its turns without giving the lease back, as a process that dies. */
    die: () => stopping.abort(),
    async stop() {
      stopping.abort();
      await ended;
    },
  };
  function turns() {
    return contender.tokens.length;
  }
  const { store } = world.clients();
  const ended = takeTurns(
    {
      ...{ store, instance, address: `${instance}:1`, log: world.log, durationMs, retryMs: 10 },
      async lead(token, signal) {
        contender.tokens.push(token);
        contender.leads = true;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        contender.leads = false;
      },
      ...options,
    },
    stopping.signal,
  );
  world.cleanup(() => contender.stop());
  return contender;
}

/** Cuts a holder off: what it renews from now on is not counted, as if it hung. */
function freeze(world: World): void {
  const lease = world.store.leases.rows.get("scheduler");
  assert.ok(lease);
  const { counter } = lease;
  Object.defineProperty(lease, "counter", { get: () => counter, set: () => undefined });
}

describe("takeTurns()", () => {
  it("gives the lease back at the end, and the next one leads at once", async (t) => {
    const world = await World.start(t);
    const a = contender(world, "a");
    await eventually("a leads", () => a.leads);
    const b = contender(world, "b");
    await stays("b stands by while a renews", 3 * durationMs, () => !b.leads);
    await a.stop();
    assert.doesNotMatch(world.store.leases.rows.get("scheduler")?.holder ?? "", /^a\//);
    await eventually("b leads", () => b.leads);
    assert.deepEqual([a.tokens, b.tokens], [[1n], [2n]]);
  });

  it("takes over when token and counter have stood still for the lease's duration, not before", async (t) => {
    const world = await World.start(t);
    const a = contender(world, "a");
    await eventually("a leads", () => a.leads);
    freeze(world);
    const from = performance.now();
    const b = contender(world, "b");
    await eventually("b leads", () => b.leads);
    assert.ok(performance.now() - from >= durationMs, "it did not wait");
    await eventually("a knows", () => !a.leads);
    assert.deepEqual(b.tokens, [2n]);
  });

  it("counts anew after the store was away", async (t) => {
    const world = await World.start(t);
    const a = contender(world, "a");
    await eventually("a leads", () => a.leads);
    freeze(world);
    const b = contender(world, "b");
    await stays("b counts", durationMs / 2, () => !b.leads);
    world.store.down = true;
    await stays("b cannot ask", durationMs, () => !b.leads);
    const back = performance.now();
    world.store.down = false;
    await eventually("b leads", () => b.leads);
    assert.ok(performance.now() - back >= durationMs, "it counted while the store was away");
  });

  it("goes on leading while the store is away, if nobody took the lease", async (t) => {
    const world = await World.start(t);
    const a = contender(world, "a");
    await eventually("a leads", () => a.leads);
    world.store.down = true;
    await stays("a leads", 2 * durationMs, () => a.leads);
    world.store.down = false;
    await stays("a leads on", durationMs, () => a.leads && a.turns() === 1);
  });

  it("takes the lease of the same instance at once: that one was restarted", async (t) => {
    const world = await World.start(t);
    const old = contender(world, "a");
    await eventually("it leads", () => old.leads);
    const from = performance.now();
    const restarted = contender(world, "a", { retryMs: durationMs * 10 });
    await eventually("the new one leads", () => restarted.leads);
    assert.ok(performance.now() - from < durationMs, "it waited");
    await eventually("the old one stops: its lease is lost", () => !old.leads);
    await old.stop();
  });

  it("pauses before it leads again when leading failed", async (t) => {
    const world = await World.start(t);
    let turns = 0;
    contender(world, "a", {
      retryMs: 50,
      async lead() {
        turns += 1;
        throw new Error("a bug");
      },
    });
    await eventually("it tries again", () => turns >= 2);
    const from = turns;
    await stays("it pauses", 500, () => turns - from <= 11);
  });
});
