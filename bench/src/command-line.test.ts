import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readCommandLine, UsageError } from "./command-line.js";
import type { Bench } from "./measure.js";

const bench = (name: string): Bench => ({
  ...{ name, about: name },
  run: () => Promise.reject(new Error("not run here")),
});
const benches = [bench("agent"), bench("plan")];
const read = (line: string) =>
  readCommandLine(
    line.split(" ").filter((word) => word !== ""),
    benches,
  );

describe("readCommandLine()", () => {
  it("should run all when none is named, and each only once", () => {
    const asked = { quick: false, json: false, record: false };
    assert.deepEqual(read(""), { action: "run", benches, ...asked });
    assert.deepEqual(read("plan plan --quick --json"), {
      ...{ action: "run", benches: [benches[1]], quick: true, json: true, record: false },
    });
    assert.equal(read("plan --record").record, true);
    assert.equal(read("--list").action, "list");
    assert.equal(read("--help").action, "help");
  });

  it("should say what there is when it is asked for something else", () => {
    assert.throws(
      () => read("agents"),
      new UsageError('there is no benchmark "agents"; there are: agent, plan'),
    );
    assert.throws(() => read("--fast"), /^UsageError: Unknown option '--fast'.*; --help lists/);
  });

  it("should not put into the record what was too short for it", () => {
    assert.throws(
      () => read("--quick --record"),
      new UsageError("--record takes full sizes: leave out --quick"),
    );
  });
});
