import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseJson } from "./json.js";

describe("parseJson()", () => {
  const faults: [text: string, message: string][] = [
    ['{\n  "a": [1,\n  2\n  "b"]\n}', 'f:4: malformed JSON: expected a comma instead of "b"'],
    ['{\n  "a": 1,\n}', "f:3: malformed JSON: expected a key in double quotes instead of }"],
    ['{\n  "a": \n}', "f:3: malformed JSON: expected a value instead of }"],
    ['{\n  "a" 1}', "f:2: malformed JSON: expected a colon instead of 1"],
    ["{\n  'a': 1}", "f:2: malformed JSON: unexpected 'a':"],
    ['{"a": [1, 2\n\n', "f:1: malformed JSON: it ends too early"],
    ["{}\n{}", "f:2: malformed JSON: expected nothing after the end instead of {"],
    ['{"a": "one\ntwo"}', 'f:1: malformed JSON: unexpected "one'],
    ['{"a": 01}', "f:1: malformed JSON: expected a comma instead of 1"],
    ["", "f:1: malformed JSON: it ends too early"],
    ["[]", "f:1: must be a JSON object"],
  ];
  for (const [text, message] of faults) {
    it(`names the line in ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseJson(text, "f"), { name: "StackError", message });
    });
  }

  it("takes the last of two equal keys, and passes over a byte order mark", () => {
    assert.deepEqual(parseJson('\uFEFF{"a": 1, "b": [], "a": {"c": -1.5e3}}', "f"), {
      a: { c: -1500 },
      b: [],
    });
  });
});
