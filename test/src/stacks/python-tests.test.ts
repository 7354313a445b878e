import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";
import { stackFolder } from "./script-host.js";

for (const [what, folder] of [
  ["the stack's scripts", join(stackFolder, "services/MARIADB")],
  ["the scripts of hosts' alerts", join(stackFolder, "../..")],
] as const) {
  it(`${what} should pass their own tests`, () => {
    const args = ["-B", "-m", "unittest", "discover", "-s", "tests"];
    const result = spawnSync("python3", args, { cwd: folder, encoding: "utf8" });
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /Ran [1-9]\d* tests/);
  });
}
