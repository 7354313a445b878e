import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createDatabase } from "./create-database.js";

describe("createDatabase()", () => {
  it("should refuse a name that would need quoting, before it connects", async () => {
    await assert.rejects(createDatabase("mysql://127.0.0.1:1/", "a`b"), /database name "a`b"/);
  });
});
