import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { childrenCpuMs, cpuMs, memoryOf, sharers } from "./process-usage.js";

describe("process usage", () => {
  it("should tell the memory and the CPU time of a process", () => {
    const { residentMib, proportionalMib, privateMib } = memoryOf(process.pid);
    assert.ok(residentMib > 10 && residentMib >= proportionalMib && proportionalMib >= privateMib);
    const before = { own: cpuMs(process.pid), children: childrenCpuMs(process.pid) };
    spawnSync("/bin/sh", ["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"]);
    assert.ok(childrenCpuMs(process.pid) > before.children);
    assert.ok(cpuMs(process.pid) > before.own);
  });

  it("should count the other processes of a program", async (t) => {
    const before = sharers(process.pid);
    const other = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); console.log(1)"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    t.after(() => other.kill());
    await once(other.stdout, "data");
    // Other tests' processes come and go, so no more can be said.
    assert.ok(before >= 0 && sharers(process.pid) >= 1);
  });
});
