// Runs a compiled program of this repository on a clone that may be fresh: `node scripts/run.js [--database-unless=OPTION] FILE ARGUMENT…`.
// With --database-unless the program starts a database of its own unless it is given that option: then `mariadbd` is seen to.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root, setup } from "./setup.js";

const words = process.argv.slice(2);
const [, unless] = /^--database-unless=(.+)$/.exec(words[0] ?? "") ?? [];
if (unless !== undefined) words.shift();
const [file, ...args] = words;
if (file === undefined) {
  process.stderr.write("usage: node scripts/run.js [--database-unless=OPTION] FILE [ARGUMENT…]\n");
  process.exit(2);
}
const given = args.some(
  (arg) => arg === unless || arg.startsWith(`${unless}=`) || arg === "--help",
);
setup({ database: unless !== undefined && !given });
const child = spawn(process.execPath, ["--enable-source-maps", join(root, file), ...args], {
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
