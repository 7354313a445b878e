import { processIo } from "./io.js";
import { runCli } from "./run-cli.js";

// Not process.exit at once: what was written must reach its reader first.
process.exitCode = await runCli(process.argv.slice(2), processIo());
setTimeout(() => process.exit(), 2_000).unref();
