import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Presence } from "./presence.js";

const times = { lostAfterMs: 30, reconnectWindowMs: 15, storeSilentMs: 6 };

/** A monitor's core at the time `now`, with hosts that have sessions with d1; the store is heard at each step. */
function watch(...connected: number[]) {
  const presence = new Presence(times);
  let now = 100;
  presence.storeHeard(now);
  presence.sessions(
    "d1",
    connected.map((id) => key(id)),
    now,
  );
  return {
    presence,
    get now() {
      return now;
    },
    /** Lets time pass while the store answers. */
    pass(ms: number) {
      for (let left = ms; left > 0; left -= 5) {
        now += Math.min(5, left);
        presence.storeHeard(now);
      }
    },
    /** Lets time pass while the store says nothing. */
    passSilently(ms: number) {
      now += ms;
    },
    close: (id: number, silentMs = 0, epoch = 1) => presence.closed(key(id, epoch), silentMs, now),
    due: () => presence.due(now, 10).map(({ hostId }) => Number(hostId)),
  };
}

const key = (id: number, epoch = 1) => ({ hostId: BigInt(id), sessionEpoch: BigInt(epoch) });
const stored = (id: number, { epoch = 1, lost = false } = {}) => ({
  ...{ ...key(id, epoch), hostName: `h${id}`, lost },
});

describe("Presence", () => {
  it("should call a host lost when it was without a session for the interval, not before", () => {
    const w = watch(1, 2);
    w.close(1);
    assert.equal(w.presence.nextDue(w.now), w.now + 30);
    w.pass(29);
    assert.deepEqual(w.due(), []);
    w.pass(1);
    assert.deepEqual(w.due(), [1]);
  });

  it("should count from when the agent was last heard", () => {
    const w = watch(1);
    w.close(1, 20);
    w.pass(9);
    assert.deepEqual(w.due(), []);
    w.pass(1);
    assert.deepEqual(w.due(), [1]);
  });

  it("should forget the interval when the agent is back, with any dispatcher", () => {
    const w = watch(1, 2);
    w.close(1);
    w.close(2);
    w.pass(25);
    w.presence.opened("d1", key(1, 2));
    w.presence.opened("d2", key(2, 2));
    w.pass(30);
    assert.deepEqual(w.due(), []);
    w.close(1, 0, 2);
    w.pass(30);
    assert.deepEqual(w.due(), [1]);
  });

  it("should not take an old word about a session for news", () => {
    const w = watch();
    w.presence.opened("d1", key(1, 5));
    w.close(1, 0, 4);
    assert.equal(w.presence.awayOf(1n), undefined);
    w.close(1, 0, 5);
    // Told by a list that was made before the session ended.
    w.presence.opened("d1", key(1, 5));
    w.presence.opened("d1", key(1, 4));
    w.pass(30);
    assert.deepEqual(w.due(), [1]);
  });

  it("should give every host of the store a fresh interval and the window at take-over", () => {
    const w = watch(1);
    w.presence.listed([stored(1), stored(2), stored(3, { lost: true })], w.now);
    w.pass(44);
    assert.deepEqual(w.due(), []);
    w.pass(1);
    assert.deepEqual(w.due(), [2]);
  });

  for (const [what, fail] of [
    ["a dispatcher out of reach", (w) => w.presence.outOfReach("d1", w.now)],
    ["a dispatcher new in reach", (w) => w.presence.sessions("d9", [key(1), key(3)], w.now)],
    ["a store that could not be reached", (w) => outage(w)],
    ["a store that did not answer", (w) => hang(w)],
  ] as [string, (w: ReturnType<typeof watch>) => void][]) {
    it(`should give every host that is away a fresh interval and the window after ${what}`, () => {
      const w = watch(1, 2, 3);
      w.presence.sessions("d2", [], w.now);
      w.close(2);
      w.pass(20);
      fail(w);
      w.pass(44);
      assert.deepEqual(w.due(), []);
      w.pass(1);
      assert.ok(w.due().includes(2));
      assert.equal(w.due().includes(3), what === "a dispatcher out of reach");
    });
  }

  function outage(w: ReturnType<typeof watch>): void {
    w.presence.storeAway();
    assert.deepEqual([w.due(), w.presence.nextDue(w.now)], [[], undefined]);
    w.passSilently(1);
    w.presence.storeHeard(w.now);
  }

  function hang(w: ReturnType<typeof watch>): void {
    w.passSilently(11);
    // It is due by now, but nobody could have registered.
    assert.deepEqual([w.due(), w.presence.nextDue(w.now)], [[], undefined]);
    w.presence.storeHeard(w.now);
  }

  it("should call nobody lost while no dispatcher is in reach", () => {
    const w = watch(1);
    w.presence.outOfReach("d1", w.now);
    w.pass(500);
    assert.deepEqual([w.due(), w.presence.nextDue(w.now)], [[], undefined]);
    w.presence.sessions("d1", [], w.now);
    w.pass(44);
    assert.deepEqual(w.due(), []);
    w.pass(1);
    assert.deepEqual(w.due(), [1]);
  });

  it("should not lengthen the interval each time that a dispatcher that is away is tried", () => {
    const w = watch(1);
    w.presence.sessions("d2", [], w.now);
    w.presence.outOfReach("d1", w.now);
    for (let tries = 0; tries < 9; tries += 1) {
      w.pass(5);
      w.presence.outOfReach("d1", w.now);
    }
    assert.deepEqual(w.due(), [1]);
  });

  it("should be done with a host once it is recorded, and give those passed over another interval", () => {
    const w = watch(2);
    w.presence.opened("d1", { ...key(1), hostName: "h1" });
    w.close(1);
    w.close(2);
    w.pass(30);
    const due = w.presence.due(w.now, 10);
    assert.deepEqual(w.presence.recorded(due, new Set([1n]), w.now), ["h1"]);
    assert.deepEqual(w.due(), []);
    assert.equal(w.presence.awayOf(1n)?.lost, true);
    w.pass(30);
    assert.deepEqual(w.due(), [2]);
  });

  it("should not mix up an answer about a former session with the one that came meanwhile", () => {
    const w = watch(1);
    w.close(1);
    w.pass(30);
    const due = w.presence.due(w.now, 10);
    w.presence.opened("d1", key(1, 2));
    w.presence.recorded(due, new Set([1n]), w.now);
    assert.equal(w.presence.awayOf(1n), undefined);
    w.close(1, 0, 2);
    w.pass(30);
    assert.deepEqual(w.due(), [1]);
  });

  it("should have the agent of a lost host register again whose session a dispatcher holds", () => {
    const w = watch(1);
    const held = { ...key(1), dispatcher: "d1" };
    assert.deepEqual(w.presence.listed([stored(1, { lost: true })], w.now), [held]);
    w.presence.outOfReach("d1", w.now);
    assert.deepEqual(w.presence.sessions("d1", [key(1)], w.now), [held]);
    assert.equal(w.presence.awayOf(1n)?.lost, true);
    // With its next session it is not lost any more.
    assert.deepEqual(w.presence.opened("d1", key(1, 2)), []);
    assert.equal(w.presence.awayOf(1n), undefined);
  });

  it("should learn from the store of a session that no dispatcher told of", () => {
    const w = watch();
    w.presence.listed([stored(1, { epoch: 1, lost: true })], w.now);
    w.presence.listed([stored(1, { epoch: 2 })], w.now);
    w.pass(45);
    assert.deepEqual(w.due(), [1]);
    w.presence.listed([stored(1, { epoch: 1 })], w.now);
    assert.deepEqual(w.presence.due(w.now, 10), [key(1, 2)]);
  });

  it("should give no more than asked for, and the rest at once", () => {
    const w = watch(1, 2, 3);
    for (const id of [1, 2, 3]) w.close(id);
    w.pass(30);
    const first = w.presence.due(w.now, 2);
    assert.equal(first.length, 2);
    w.presence.recorded(first, new Set(first.map(({ hostId }) => hostId)), w.now);
    assert.ok((w.presence.nextDue(w.now) ?? Number.POSITIVE_INFINITY) <= w.now);
    assert.deepEqual(w.due(), [3]);
  });
});
