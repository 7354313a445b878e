import assert from "node:assert/strict";
import { test } from "node:test";
import { ArithmeticError } from "./arithmetic.js";
import { countedEntries } from "./counted-entries.js";

const expression = [
  "calculate(args)",
  "def calculate(args):",
  "  import json",
  "  json_statuses = json.loads({0})",
  "  return len(json_statuses['failed']) if 'failed' in json_statuses else 0",
].join("\n");

test("the entries of a key are counted", () => {
  assert.equal(countedEntries(expression, ['{"failed":{"/a":1,"/b":2},"active":{}}']), 2);
  assert.equal(countedEntries(expression, [{ failed: ["x"] }]), 1);
  assert.equal(countedEntries(expression, ['{"active":{}}']), 0);
  assert.throws(() => countedEntries(expression, ["rubbish"]), ArithmeticError);
  assert.throws(() => countedEntries(expression, ["[]"]), ArithmeticError);
});

test("anything else is another expression, however long it is", () => {
  for (const other of [
    ...["{0} * 100", "", expression.replace("json.loads", "eval")],
    ...[`${expression}\n  os.system('x')`, expression.replace("'failed' in", "'other' in")],
    ...["calculate(args)".padEnd(1_000_000), `${expression}${" ".repeat(1_000_000)}x`],
  ]) {
    assert.equal(countedEntries(other, ["{}"]), undefined);
  }
});
