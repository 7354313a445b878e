import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { recordResults, resultsText } from "./results-file.js";
import { outcomeOf } from "./testing/outcome.js";

const order = ["throughput", "plan", "idle"];
const origin = { commit: { id: "0123456789", dirty: false }, machine: "2 cores" };
const plan = (value: number, rest = {}) =>
  outcomeOf("plan", [{ what: "3,000 x 20", unit: "s", value, target: { most: 0.3 } }], rest);
const linesWith = (text: string, word: string) =>
  text.split("\n").filter((line) => line.includes(word));

describe("resultsText()", () => {
  it("should say what was measured, of which commit, on what and beside what load", () => {
    const load = { average: 3.21, busyCores: 1.5 };
    const text = resultsText(
      ...(["", [plan(0.25, { load })], { ...origin, commit: { id: "abc", dirty: true } }] as const),
      order,
    );
    assert.deepEqual(linesWith(text, "plan"), [
      "| plan | 3,000 x 20 | 0.25 s |  |  | <= 0.3 | yes |  |",
      "| plan | 2026-01-02 03:04 UTC | abc, with changes | 12 s | load 3.2, 1.5 cores busy: loaded by others | 2 cores |",
      "* **plan**: how plan is measured",
    ]);
  });

  it("should replace what was run, keep what was not, in the order of all", () => {
    const idle = outcomeOf("idle", [{ what: "a | b", unit: "", value: 1 }]);
    const first = resultsText("", [idle, plan(0.4), outcomeOf("former", [])], origin, order);
    const later = { ...origin, commit: { id: "fedcba", dirty: false } };
    const second = resultsText(first, [plan(0.2)], later, order);
    assert.deepEqual(
      linesWith(second, "| ").map((line) => line.split(" | ").slice(0, 3)),
      [
        ...[
          ["| row", "what", "measured"],
          ["| plan", "3,000 x 20", "0.2 s"],
        ],
        ...[
          ["| idle", "a \\| b", "1"],
          ["| row", "when", "commit"],
        ],
        ["| plan", "2026-01-02 03:04 UTC", "fedcba"],
        ["| idle", "2026-01-02 03:04 UTC", "0123456789"],
      ],
    );
    assert.equal(linesWith(second, "* **").length, 2);
    assert.equal(resultsText(second, [], later, order), second);
    assert.doesNotMatch(second, /former/);
  });

  it("should say what was skipped and why", () => {
    const skipped = outcomeOf("plan", [], { skipped: "no data" });
    const text = resultsText(resultsText("", [plan(1)], origin, order), [skipped], origin, order);
    assert.equal(linesWith(text, "| plan |")[0], "| plan | skipped: no data |  |  |  |  |  |  |");
    assert.equal(linesWith(text, "plan").length, 2);
  });
});

describe("recordResults()", () => {
  let folder: string;
  after(() => rm(folder, { recursive: true, force: true }));

  it("should make the file, and read again what it wrote", async () => {
    folder = await mkdtemp(join(tmpdir(), "howdah-results-"));
    const file = join(folder, "results.md");
    await recordResults(file, [plan(0.25)], origin, order);
    await recordResults(file, [outcomeOf("throughput", [])], origin, order);
    assert.equal(linesWith(await readFile(file, "utf8"), "| plan |").length, 2);
    assert.deepEqual(await readdir(folder), ["results.md"]);
  });
});
