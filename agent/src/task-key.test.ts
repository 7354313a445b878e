import assert from "node:assert/strict";
import { test } from "node:test";
import { keyText, TaskKeyError } from "./task-key.js";

test("keys that are asked for in turn keep their own texts, and a bad one leaves the last as it was", () => {
  const first = { storeId: "store", taskId: "12", attempt: 1 };
  const second = { ...first, attempt: 2 };
  const bad = { ...first, attempt: 0 };
  for (const key of [first, first, second, first]) {
    assert.equal(keyText(key), `store:12:${key.attempt}`);
  }
  assert.throws(() => keyText(bad), TaskKeyError);
  assert.throws(() => keyText(bad), TaskKeyError);
  assert.equal(keyText(first), "store:12:1");
});
