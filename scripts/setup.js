// Makes a clone ready to run: installs the npm packages, builds, and sees to `mariadbd`.
// Idempotent and quick when nothing is missing; every script that needs a ready clone starts with it.
// Plain JavaScript on Node's own modules, since it runs before anything is installed or compiled.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const stamp = join(root, "node_modules", ".howdah-lock");
// Nothing is left outside the clone: buf keeps its cache in here.
process.env.BUF_CACHE_DIR ??= join(root, "node_modules", ".cache", "buf");

/** Thrown when the clone cannot be made ready; the message says what to do. */
class SetupError extends Error {}

/**
 * Runs a command of the set-up.
 * @param {string} command
 * @param {string[]} args
 * @param {{ quiet?: boolean }} [options] quiet: show its output only when it fails
 */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: options.quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"],
    encoding: "utf8",
  });
  if (result.error) throw new SetupError(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    if (options.quiet) process.stderr.write(`${result.stdout}${result.stderr}`);
    throw new SetupError(`"${command} ${args.join(" ")}" failed with exit code ${result.status}`);
  }
}

/** Installs the npm packages exactly as locked, when they are not yet, or no longer, those of the lock file. */
function installPackages() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  process.stderr.write("setup: installing npm packages\n");
  // A cache of the user's that is there is used; where there is none, none is left behind.
  const usual = process.env.npm_config_cache ?? join(homedir(), ".npm");
  const own = join(root, ".howdah", "npm");
  const cache = existsSync(join(usual, "_cacache")) ? [] : ["--cache", own];
  run("npm", ["ci", "--no-audit", "--no-fund", ...cache], { quiet: true });
  rmSync(own, { recursive: true, force: true });
  writeFileSync(stamp, lock);
}

/** Generates code from the protos and compiles; incremental. */
function build() {
  process.stderr.write("setup: building\n");
  run("npm", ["run", "--silent", "build"], { quiet: true });
}

/** @param {string} program */
function onPath(program) {
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** Sees that MariaDB's server program is there: by apt where that is possible, else says what to install. */
function ensureMariadb() {
  if (onPath("mariadbd")) return;
  const sentence =
    "MariaDB's server is missing: install the package mariadb-server-core (Debian, Ubuntu) or mariadb-server (others), so that `mariadbd` is on the PATH.";
  if (!onPath("apt-get") || process.getuid?.() !== 0) throw new SetupError(sentence);
  process.stderr.write("setup: installing mariadb-server-core\n");
  const install = ["install", "-y", "-qq", "--no-install-recommends", "mariadb-server-core"];
  try {
    run("apt-get", ["update", "-qq"], { quiet: true });
    run("apt-get", install, { quiet: true });
  } catch {
    throw new SetupError(sentence);
  }
}

/**
 * Makes the clone ready. Exits the process with one sentence when it cannot.
 * @param {{ database?: boolean }} [options] database: whether `mariadbd` is needed too (default true)
 */
export function setup(options = {}) {
  try {
    const [major = 0] = process.versions.node.split(".").map(Number);
    if (major < 20)
      throw new SetupError(`Node.js 20 or newer is needed, this is ${process.version}`);
    mkdirSync(join(root, "node_modules"), { recursive: true });
    installPackages();
    build();
    if (options.database ?? true) ensureMariadb();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`setup: ${error.message}\n`);
    process.exit(1);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) setup();
