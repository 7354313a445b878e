import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kindsOf } from "./statement-kinds.js";

describe("kindsOf", () => {
  it("sums up by verb and table, the most frequent first", () => {
    const kinds = kindsOf([
      { text: "select name\nfrom lease where name = 'a'", count: 2 },
      { text: "UPDATE lease SET counter = 1", count: 7 },
      { text: "select x from lease where name = 'b'", count: 3 },
      { text: "COMMIT;", count: 1 },
    ]);
    assert.deepEqual(kinds, [
      { kind: "update lease", count: 7 },
      { kind: "select lease", count: 5 },
      { kind: "commit", count: 1 },
    ]);
  });

  it("takes counts that the driver gives as text", () => {
    const [kind] = kindsOf([{ text: "begin", count: "2" as unknown as number }]);
    assert.deepEqual(kind, { kind: "begin", count: 2 });
  });
});
