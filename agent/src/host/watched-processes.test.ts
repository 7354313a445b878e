import assert from "node:assert/strict";
import { test } from "node:test";
import { createWatchedProcesses } from "./watched-processes.js";

test("a time service is found by its process, missed when it is gone, and looked for now and then", () => {
  const names = new Map([[String(process.pid), "chronyd"]]);
  let reads = 0;
  let nowMs = 0;
  const look = createWatchedProcesses(
    () => nowMs,
    (path) => {
      reads += 1;
      return `${names.get(path.split("/")[2] ?? "") ?? "init"}\n`;
    },
  );
  const found = { timeService: "chronyd", lostTimeService: undefined, firewallRuns: false };
  assert.deepEqual(look(), found);
  reads = 0;
  assert.deepEqual(look(), found);
  assert.equal(reads, 1);
  names.clear();
  const lost = { timeService: undefined, lostTimeService: "chronyd", firewallRuns: false };
  assert.deepEqual(look(), lost);
  reads = 0;
  assert.deepEqual(look(), lost);
  assert.equal(reads, 0);
  names.set(String(process.pid), "systemd-timesyn");
  nowMs += 600_000;
  assert.equal(look().timeService, "systemd-timesyncd");
});
