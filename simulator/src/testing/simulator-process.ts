import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Told } from "../tally.js";

const program = fileURLToPath(new URL("../main.js", import.meta.url));

/** A simulator as a process of its own. */
export interface Simulator {
  readonly process: ChildProcess;
  /** What it told last; undefined before the first. */
  counts(): Told | undefined;
  errors(): string;
  /** SIGTERM; resolves with its exit code, or the signal. */
  stop(): Promise<number | string>;
}

/**
 * Room for what thousands of connections say at once, and for output as the services have it: else half of the process's time goes into
 * looking through all of them for garbage, and a benchmark's machine is the simulator's.
 */
const flags = [
  "--enable-source-maps",
  "--max-semi-space-size=64",
  "--initial-old-space-size=128",
  "--no-parallel-scavenge",
];

/** Starts a simulator for a dispatcher, which tells its counts ten times a second. */
export function startSimulator(server: string, ...args: string[]): Simulator {
  const fixed = ["--server", server, "--json", "--report-every", "100ms", "--log-level", "warn"];
  const child = spawn(
    process.execPath,
    [...flags, program, ...fixed, "--connect-rate", "1000", ...args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let counts: Told | undefined;
  let rest = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    const last = lines.at(-1);
    if (last !== undefined) counts = JSON.parse(last);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  return {
    process: child,
    counts: () => counts,
    errors: () => errors,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const closed = once(child, "close");
        child.kill("SIGTERM");
        await closed;
      }
      return child.exitCode ?? child.signalCode ?? -1;
    },
  };
}
