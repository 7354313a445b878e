import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { BenchSkipped } from "../measure.js";
import { checkRoom } from "./load-history.js";

describe("checkRoom()", () => {
  it("should skip what does not fit on the disk, and say what is needed where", async () => {
    await checkRoom("/", -1e9);
    await assert.rejects(checkRoom(tmpdir(), 1e13), (error) => {
      assert.ok(error instanceof BenchSkipped);
      assert.match(error.message, /^10000000000000 finished tasks need 4190\d{3}\.\d GiB below /);
      assert.ok(error.message.includes(tmpdir()), error.message);
      return true;
    });
  });
});
