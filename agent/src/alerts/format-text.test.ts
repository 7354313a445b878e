import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../json.js";
import { AlertDefinitionError } from "./definition-error.js";
import { formatText, longestText } from "./format-text.js";

const cases: [template: string, args: Json[], text: string][] = [
  ["{0}", ["a"], "a"],
  ["{1} CPU, load {0:.1%}", [0.1234, 8], "8 CPU, load 12.3%"],
  ["{2:.0f}% of {0}", [10, 20, 33.4], "33% of 10"],
  ["{0:.3f}s on {1}", [0.00249, 80], "0.002s on 80"],
  ["{0:d} of {1:d}", [3, 2.5], "3 of 2.5"], // a whole number that is none is written as it is
  ["{0:d}", ["x"], "x"],
  ["{0:s}|{0:.2s}", ["abc"], "abc|ab"],
  ["{0:f}", [1], "1.000000"],
  ["{0} {1} {2}", [true, false, null], "True False None"],
  ["{{0}} {0}}}", [1], "{0} 1}"],
  ["{0}", [{ a: [1] }], '{"a":[1]}'],
  ["no place", [], "no place"],
  ["{0}\0{0}", ["a\0b"], "abab"],
];
for (const [template, args, text] of cases) {
  test(`${JSON.stringify(template)} of ${JSON.stringify(args)}`, () => {
    assert.equal(formatText(template, args), text);
  });
}

const broken: [template: string, args: Json[], what: RegExp][] = [
  ["{3}", [1], /asks for \{3\}, and there are 1 values/],
  ["{0:.2f}", ["x"], /"x" is no number/],
  ["{0:.2f}", [null], /"None" is no number/],
  ["{0", [1], /a single \{/],
  ["0}", [1], /a single \}/],
  ["{}", [1], /"\{\}", which is none of/],
  ["{name}", [1], /which is none of/],
  ["{0.__class__}", [1], /which is none of/],
  ["{0:>10}", [1], /which is none of/],
  ["{0:.2x}", [1], /which is none of/],
  ["x".repeat(20_000), [], /20000 characters/],
];
for (const [template, args, what] of broken) {
  test(`${JSON.stringify(template.slice(0, 20))} is a broken text`, () => {
    assert.throws(
      () => formatText(template, args),
      (error) => error instanceof AlertDefinitionError && what.test(error.message),
    );
  });
}

test("a text is cut, however often it names a value of whatever length", () => {
  const text = formatText("{0}".repeat(3_000), ["x".repeat(10_000_000)]);
  assert.equal(text.length, longestText);
  assert.ok(text.endsWith("…"));
});
