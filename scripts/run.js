// Runs a compiled program of this repository on a clone that may be fresh: `node scripts/run.js FILE ARGUMENT…`.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root, setup } from "./setup.js";

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write("usage: node scripts/run.js FILE [ARGUMENT…]\n");
  process.exit(2);
}
setup({ database: false });
const child = spawn(process.execPath, ["--enable-source-maps", join(root, file), ...args], {
  stdio: "inherit",
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
