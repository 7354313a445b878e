import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Ending, finalText } from "./final-text.js";

const ending: Ending = {
  status: "COMPLETED",
  tries: 1,
  reason: "",
  timeoutMs: 1_500,
  noun: "Python script",
  adHoc: false,
};

describe("finalText()", () => {
  const cases: [Partial<Ending>, stdout: string, stderr: string][] = [
    [{}, "\n\nCommand completed successfully!\n", ""],
    [{ status: "FAILED", tries: 3 }, "\n\nCommand failed after 3 tries\n", ""],
    [
      { status: "ABORTED", reason: "enough" },
      "\nCommand aborted. Reason: 'enough'\n\nCommand failed after 1 tries\n",
      "\nCommand aborted. Reason: 'enough'",
    ],
    [
      { status: "TIMEDOUT" },
      "\n\nCommand failed after 1 tries\n",
      "\nPython script has been killed due to timeout after waiting 2 secs",
    ],
  ];
  for (const [change, stdout, stderr] of cases) {
    it(`closes a script's output in Ambari's words: ${change.status ?? "COMPLETED"}`, () => {
      assert.deepEqual(finalText({ ...ending, ...change }), { stdout, stderr });
    });
    it(`leaves the output of a command line as it is: ${change.status ?? "COMPLETED"}`, () => {
      assert.deepEqual(finalText({ ...ending, ...change, adHoc: true }), { stdout: "", stderr });
    });
  }
});
