import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Ends, withEnds } from "./ends.js";

describe("withEnds()", () => {
  const done: string[] = [];
  const told: string[] = [];
  const tell = (line: string) => told.push(line);
  const start = (ends: Ends, name: string, failure?: string) =>
    ends.after(async () => {
      done.push(name);
      if (failure !== undefined) throw new Error(failure);
    });

  it("should end what was started, the last first, before it resolves", async () => {
    done.length = 0;
    const run = async (ends: Ends) => {
      start(ends, "first");
      start(ends, "second");
      return done.length;
    };
    assert.equal(await withEnds(run, tell), 0);
    assert.deepEqual(done, ["second", "first"]);
    assert.deepEqual(told, []);
  });

  it("should end each although it or another fails, and reject with what failed first", async () => {
    done.length = 0;
    const run = async (ends: Ends) => {
      start(ends, "first", "it does not end");
      start(ends, "second", "nor does it");
      throw new Error("no answer");
    };
    await assert.rejects(withEnds(run, tell), { message: "no answer" });
    assert.deepEqual(done, ["second", "first"]);
    assert.deepEqual(told, [
      "at the end: Error: nor does it",
      "at the end: Error: it does not end",
    ]);
  });

  it("should reject when only an end fails", async () => {
    const run = async (ends: Ends) => start(ends, "it", "it does not end");
    await assert.rejects(withEnds(run, tell), { message: "it does not end" });
  });
});
