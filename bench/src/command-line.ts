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
  readonly record: boolean;
}

/** What `--help` says. */
export const usage = `usage: npm run bench -- [NAME…] [--quick] [--json] [--record]
       npm run bench -- --list
Runs the benchmarks that are named, or all, prints what each measured beside its floor and its target, and one table of all at the end.
  --quick   smaller sizes: all of them in under ten minutes, for a first look
  --json    one line of JSON for each benchmark instead
  --record  writes what was measured to bench/results.md, too; benchmarks that were not run keep their lines there
A target that is missed is told and is no failure: the exit code is 0 unless something could not be measured. What cannot be run on this
machine is skipped, with the reason.`;

/** Reads the command line. Throws UsageError. */
export function readCommandLine(args: readonly string[], benches: readonly Bench[]): CommandLine {
  const { values, positionals } = parse(args);
  const named = positionals.map((name) => {
    const bench = benches.find((one) => one.name === name);
    if (bench !== undefined) return bench;
    const names = benches.map((one) => one.name).join(", ");
    throw new UsageError(`there is no benchmark ${JSON.stringify(name)}; there are: ${names}`);
  });
  const { quick, json, record } = values;
  if (quick && record) {
    throw new UsageError("--record takes full sizes: leave out --quick");
  }
  return {
    action: values.help ? "help" : values.list ? "list" : "run",
    benches: named.length === 0 ? benches : [...new Set(named)],
    ...{ quick, json, record },
  };
}

function parse(args: readonly string[]) {
  try {
    const flag = { type: "boolean", default: false } as const;
    const options = { list: flag, help: flag, quick: flag, json: flag, record: flag };
    return parseArgs({ args: [...args], allowPositionals: true, options });
  } catch (error) {
    const [what] = (error as Error).message.split(/\. |\.?\n/);
    throw new UsageError(`${what}; --help lists the options`);
  }
}
