// `npm test`: set-up, lint and format of code and protos, then every test, on node:test's own runner, one process a file.
// `npm test -- PART…` runs only the test files whose path contains one of the PARTs.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { finished } from "node:stream/promises";
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

/** Whether a file starts whole installations, each of several processes: it waits more than it computes. @param {string} file */
function isInstallation(file) {
  return relative(root, file).startsWith("test/");
}

/** So many other files begin for each that starts installations. */
const othersForEach = 4;

/**
 * Those that wait and those that compute run side by side from the beginning, so that the cores always have something to do; the longest
 * one is the first, and only short ones are left for the end.
 * @param {string[]} files @returns {string[]}
 */
function inOrder(files) {
  const isLongest = (/** @type {string} */ file) => file.endsWith("/chaos.test.js");
  const slow = files
    .filter(isInstallation)
    .sort((a, b) => Number(isLongest(b)) - Number(isLongest(a)));
  const others = files.filter((file) => !isInstallation(file));
  const mixed = slow.flatMap((file, n) => [
    file,
    ...others.slice(n * othersForEach, (n + 1) * othersForEach),
  ]);
  return [...mixed, ...others.slice(slow.length * othersForEach)];
}

/** @param {string} file */
function needsDatabase(file) {
  return isInstallation(file) || relative(root, file).startsWith("services/command-store/");
}

/**
 * Starts one MariaDB for all files, which make databases of their own on it: to start and end a server for each takes half a second of a
 * core, and as long again for the disk. Tests that kill the database have their own all the same. Undefined when
 * HOWDAH_TEST_DATABASE_URL names a server.
 */
async function startDatabase() {
  if (process.env.HOWDAH_TEST_DATABASE_URL) return undefined;
  const { startMariadb } = await import("../lib/launcher/dist/start-mariadb.js");
  const folder = mkdtempSync(join(tmpdir(), "howdah-tests-"));
  const mariadb = await startMariadb({ dataDir: folder, durable: true });
  process.env.HOWDAH_TEST_DATABASE_URL = mariadb.url;
  const stop = async () => {
    await mariadb.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => void stop().then(() => process.exit(130)));
  }
  return { stop };
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
const files = inOrder(
  ["services", "agent", "simulator", "cli", "lib", "bench", "test"]
    .flatMap((folder) => testFiles(join(root, folder)).sort())
    .filter(
      (file) => parts.length === 0 || parts.some((part) => relative(root, file).includes(part)),
    ),
);
if (files.length === 0) {
  process.stderr.write(`no test file matches ${parts.join(" ")}\n`);
  process.exit(1);
}
const database = files.some(needsDatabase) ? await startDatabase() : undefined;
// Two more than there are cores: a file waits for a good part of its time, for leases to run out or for processes to start.
const tests = run({ files, concurrency: availableParallelism() + 2, timeout: 600_000 });
tests.on("test:fail", () => {
  process.exitCode = 1;
});
tests.compose(spec).pipe(process.stdout);
await finished(tests, { writable: false });
await database?.stop();
