import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

test("what a process was handed open is closed, its own is not", () => {
  const script = `
    import { readdirSync, readFileSync } from "node:fs";
    import { closeInherited } from ${JSON.stringify(new URL("close-inherited.js", import.meta.url))};
    const closed = closeInherited();
    const again = closeInherited();
    const text = readFileSync("/proc/self/status", "utf8").length > 0; // Node.js works as before
    setTimeout(() => console.log(JSON.stringify({ closed, again, text })), 10);
  `;
  // Node.js sees to those up to the first gap beyond 15 itself.
  const opened = "import os, sys\nos.dup2(0, 200)\nos.execv(sys.argv[1], sys.argv[1:])";
  const args = ["-c", opened, process.execPath, "--input-type=module", "-e", script];
  const { stdout, stderr } = spawnSync("python3", args, { encoding: "utf8" });
  const { closed, again, text } = JSON.parse(stdout || `{"closed":"${stderr}"}`);
  assert.ok(closed.includes(200), JSON.stringify(closed));
  assert.deepEqual([again, text], [[], true]);
});
