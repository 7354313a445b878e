import { parseArgs } from "node:util";
import type { Bench } from "./measure.js";

/** Thrown when the command line asks for what there is not; its message says what there is. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What to run. */
export interface CommandLine {
  readonly action: "run" | "list" | "help";
  /** Those that were named, or all. */
  readonly benches: readonly Bench[];
  readonly quick: boolean;
  readonly json: boolean;
}

/** What `--help` says. */
export const usage = `usage: npm run bench -- [NAME…] [--quick] [--json]
       npm run bench -- --list
Runs the benchmarks that are named, or all, and prints what they measured beside their targets.
A target that is missed is told and is no failure: the exit code is 0 unless something could not be measured.`;

/** Reads the command line. Throws UsageError. */
export function readCommandLine(args: readonly string[], benches: readonly Bench[]): CommandLine {
  const { values, positionals } = parse(args);
  const named = positionals.map((name) => {
    const bench = benches.find((one) => one.name === name);
    if (bench !== undefined) return bench;
    const names = benches.map((one) => one.name).join(", ");
    throw new UsageError(`there is no benchmark ${JSON.stringify(name)}; there are: ${names}`);
  });
  return {
    action: values.help ? "help" : values.list ? "list" : "run",
    benches: named.length === 0 ? benches : [...new Set(named)],
    quick: values.quick,
    json: values.json,
  };
}

function parse(args: readonly string[]) {
  try {
    const flag = { type: "boolean", default: false } as const;
    const options = { list: flag, help: flag, quick: flag, json: flag };
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    const [what] = (error as Error).message.split(/\. |\.?\n/);
    throw new UsageError(`${what}; --help lists the options`);
  }
}
