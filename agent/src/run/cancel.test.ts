import assert from "node:assert/strict";
import { test } from "node:test";
import { Cancel } from "./cancel.js";

test("a signal that is asked for after the cancel is aborted, and the first reason holds for both", () => {
  const cancel = new Cancel();
  assert.equal(cancel.reason, undefined);
  cancel.abort("");
  cancel.abort("later");
  assert.equal(cancel.reason, "");
  assert.equal(cancel.signal.aborted, true);
  assert.equal(cancel.signal.reason, "");
});

test("a signal that was asked for before shows its listener the reason", () => {
  const cancel = new Cancel();
  const heard: unknown[] = [];
  cancel.signal.addEventListener("abort", () => heard.push(cancel.reason, cancel.signal.reason));
  cancel.abort("enough");
  assert.deepEqual(heard, ["enough", "enough"]);
});
