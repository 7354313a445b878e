import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { findProcesses } from "@howdah/launcher/find-processes";
import { runChaos } from "./run-chaos.js";

/** What keeps this process from ending, by kind: connections, servers, timers, children. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe("runChaos", () => {
  it("ended in the middle leaves no process, no folder, and nothing that keeps its own process from ending", {
    timeout: 180_000,
  }, async (t) => {
    const before = resources();
    const ending = new AbortController();
    const lines: string[] = [];
    const reason = new Error("enough");
    const log = (line: string) => {
      t.diagnostic(line);
      lines.push(line);
      // In the middle of faults, with operators at work.
      if (lines.filter((one) => one.startsWith("fault: ")).length === 4) ending.abort(reason);
    };
    const run = runChaos({ seed: 11, minutes: 10, agents: 3, signal: ending.signal, log });
    await assert.rejects(run, (error: Error) => error === reason || error.cause === reason);
    const folder = lines.find((line) => line.startsWith("folder "))?.slice("folder ".length);
    assert.ok(folder && !existsSync(folder), folder);
    const below = await findProcesses((args) => args.some((arg) => arg.includes(`${folder}/`)));
    assert.deepEqual(below, []);
    const left = () =>
      Object.entries(resources()).filter(([kind, count]) => count > (before[kind] ?? 0));
    const deadline = performance.now() + 15_000;
    while (left().length > 0 && performance.now() < deadline) await sleep(100);
    assert.deepEqual(left(), []);
  });
});
