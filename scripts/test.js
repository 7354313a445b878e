// `npm test`: set-up, lint and format of code and protos, then every test, on node:test's own runner, one process a file.
// `npm test -- PART…` runs only the test files whose path contains one of the PARTs.
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { root, setup } from "./setup.js";

const parts = process.argv.slice(2);

/** @param {string} script an npm script that must pass before any test runs */
function check(script) {
  const result = spawnSync("npm", ["run", "--silent", script], { cwd: root, stdio: "inherit" });
  if (result.status !== 0) process.exit(1);
}

/** @param {string} folder @returns {string[]} the compiled test files below it */
function testFiles(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (name === "node_modules") return [];
    if (statSync(path).isDirectory()) return testFiles(path);
    return name.endsWith(".test.js") ? [path] : [];
  });
}

/** That the protos still speak with those of the commit before; skipped, visibly, where there is none (a shallow clone). */
function checkBreaking() {
  const before = spawnSync("git", ["rev-parse", "--verify", "--quiet", "HEAD~1"], { cwd: root });
  if (before.status === 0) check("breaking");
  else process.stderr.write("breaking: skipped, there is no commit before this one\n");
}

setup();
if (parts.length === 0) {
  check("lint");
  checkBreaking();
}
const files = ["lib", "services", "agent", "cli", "simulator", "bench", "test"]
  .flatMap((folder) => testFiles(join(root, folder)))
  .filter((file) => parts.length === 0 || parts.some((part) => relative(root, file).includes(part)))
  .sort();
if (files.length === 0) {
  process.stderr.write(`no test file matches ${parts.join(" ")}\n`);
  process.exit(1);
}
// One more than there are cores: for a third of its time a test file waits, for leases to run out or for processes to start.
run({ files, concurrency: availableParallelism() + 1, timeout: 600_000 })
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(spec)
  .pipe(process.stdout);
