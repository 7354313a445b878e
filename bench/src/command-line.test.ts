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
    assert.deepEqual(read(""), { action: "run", benches, quick: false, json: false });
    assert.deepEqual(read("plan plan --quick --json"), {
      ...{ action: "run", benches: [benches[1]], quick: true, json: true },
    });
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
});
