import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatMessage, PatternError } from "./message-format.js";

describe("formatMessage()", () => {
  const cases: [string, (number | string)[], string][] = [
    ["affected: [{1}], total: [{0}]", [3, 1], "affected: [1], total: [3]"],
    ["{0} {0}", ["x"], "x x"],
    ["{0}", [1234567.5], "1,234,567.5"],
    ["{0}", [33.33333], "33.333"],
    ["{0,number,integer} {0,number}", [2.6], "3 2.6"],
    ["{0,number,percent}", [0.256], "26%"],
    ["{0,number,#.##}%", [33.33333], "33.33%"],
    ["{0,number,0.00} {0,number,#,##0.0}", [1234.5], "1234.50 1,234.5"],
    ["{0,number,#%}", [0.5], "50%"],
    ["it''s '{0}' and {0}", [1], "it's {0} and 1"],
    ["{1}", [1], "{1}"],
  ];
  for (const [pattern, values, text] of cases) {
    it(`fills ${pattern}`, () => assert.equal(formatMessage(pattern, values), text));
  }
  for (const pattern of ["{0", "{}", "{x}", "{0,date}"]) {
    it(`refuses ${pattern}`, () => assert.throws(() => formatMessage(pattern, [1]), PatternError));
  }
});
