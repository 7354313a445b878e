import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../json.js";
import { ArithmeticError, calculate } from "./arithmetic.js";
import { AlertDefinitionError } from "./definition-error.js";

const cases: [expression: string, values: Json[], result: number][] = [
  ["{0}", [7], 7],
  ["{0}/({0} + {1}) * 100.0", [1, 3], 25],
  ["100.0 - (({1} - {0})/{1} * 100.0)", [25, 100], 25],
  ["{0} + {1}", ["1.5", 2], 3.5],
  ["1 + 2 * 3 - 4 / 8", [], 6.5],
  ["2 ** 3 ** 2", [], 512],
  ["-2 ** 2", [], -4],
  ["2 ** -1", [], 0.5],
  ["--3", [], 3],
  ["-7 % 3", [], 2],
  ["7 // 2", [], 3],
  ["-7 // 2", [], -4],
  [" ( ( 1.5e3 ) ) ", [], 1500],
  [".5 + 1.", [], 1.5],
];
for (const [expression, values, result] of cases) {
  test(`${expression} of ${JSON.stringify(values)} is ${result}`, () => {
    assert.equal(calculate(expression, values), result);
  });
}

const broken = [
  ...["", "1 +", "(1", "1)", "1 2", "{0", "{x}", "1 + a", "__import__('os')", "{0}.real"],
  ...["calculate(args)\ndef calculate(args):\n  return 1", "1;2", "1 if 2 else 3", "0x10", "1_0"],
  ...["{5}", "(".repeat(60), `${"(".repeat(60)}1${")".repeat(60)}`, "9".repeat(2_000)],
  Array.from({ length: 60 }, () => "2").join("**"),
];
for (const expression of broken) {
  test(`${JSON.stringify(expression.slice(0, 30))} is a broken expression`, () => {
    assert.throws(() => calculate(expression, [1]), AlertDefinitionError);
  });
}

const misfits: [expression: string, values: Json[], what: RegExp][] = [
  ["1 / 0", [], /a division by zero/],
  ["1 / ({0} - {0})", [3], /a division by zero/],
  ["1 % 0", [], /a division by zero/],
  ["1 // 0", [], /a division by zero/],
  ["9 ** 9 ** 9", [], /is not finite/],
  ["{0}", ["x"], /\{0\} is "x", which is no number/],
  ["{0}", [null], /no number/],
  ["{0}", [[1]], /no number/],
  ["{0}", [""], /no number/],
];
for (const [expression, values, what] of misfits) {
  test(`${expression} of ${JSON.stringify(values)} cannot be calculated`, () => {
    assert.throws(
      () => calculate(expression, values),
      (error) => error instanceof ArithmeticError && what.test(error.message),
    );
  });
}
