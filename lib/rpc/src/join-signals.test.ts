import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { joinSignals } from "./join-signals.js";

function two(): [AbortController, AbortController] {
  return [new AbortController(), new AbortController()];
}

function listeners(...controllers: readonly AbortController[]): number {
  return controllers.flatMap(({ signal }) => getEventListeners(signal, "abort")).length;
}

test("aborts with the first of the signals, for its reason", () => {
  const [a, b] = two();
  const { signal } = joinSignals(a.signal, b.signal);
  assert.equal(signal.aborted, false);
  const reason = new Error("b first");
  b.abort(reason);
  a.abort(new Error("too late"));
  assert.equal(signal.reason, reason);
  assert.equal(listeners(a, b), 0);
});

test("is aborted from the start with one that is", () => {
  const [a, b] = two();
  b.abort("over");
  const { signal } = joinSignals(a.signal, b.signal);
  assert.deepEqual([signal.aborted, signal.reason, listeners(a, b)], [true, "over", 0]);
});

test("leaves nothing behind once it is released, and does not abort any more", () => {
  const [a, b] = two();
  const { signal, release } = joinSignals(a.signal, b.signal);
  assert.equal(listeners(a, b), 2);
  release();
  assert.equal(listeners(a, b), 0);
  a.abort();
  assert.equal(signal.aborted, false);
});
