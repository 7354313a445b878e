// `npm run conformance -- FOLDER [--stacks DIR]`: plans every case of a folder and compares with what it expects.
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MalformedCaseError } from "./golden-case.js";
import { runCase } from "./run-case.js";

/** Thrown when the program is called in a way that leaves it nothing to do. */
class UsageError extends Error {
  override readonly name = "UsageError";
}

const usage = "usage: npm run conformance -- FOLDER [--stacks DIR]";

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function readArguments(args: string[]): { folder: string; stacks: string | undefined } {
  try {
    const { values, positionals } = parseArgs({
      args,
      options: { stacks: { type: "string" } },
      allowPositionals: true,
    });
    const [folder, ...rest] = positionals;
    if (folder === undefined || rest.length > 0) throw new UsageError(usage);
    // npm runs scripts in the repository's root; paths are meant from where the caller is.
    const from = (path: string) => resolve(process.env.INIT_CWD ?? ".", path);
    return {
      folder: from(folder),
      stacks: values.stacks === undefined ? undefined : from(values.stacks),
    };
  } catch (reason) {
    if (reason instanceof UsageError) throw reason;
    throw new UsageError(`${(reason as Error).message}; ${usage}`);
  }
}

async function requireFolder(folder: string): Promise<void> {
  const entry = await stat(folder).catch(() => undefined);
  if (!entry?.isDirectory()) throw new UsageError(`${folder} is not a folder; ${usage}`);
}

async function main(): Promise<number> {
  const { folder, stacks } = readArguments(process.argv.slice(2));
  await requireFolder(folder);
  if (stacks !== undefined) await requireFolder(stacks);
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".json") && !file.endsWith(".rules.json"))
    .map((file) => file.slice(0, -".json".length))
    .sort();
  if (names.length === 0) throw new UsageError(`${folder} has no CASE.json; ${usage}`);

  const counts = { equal: 0, quirk: 0, DIFFERENT: 0, malformed: 0 };
  for (const name of names) {
    try {
      const result = await runCase(folder, name, stacks ?? join(folder, "stacks"));
      counts[result.verdict]++;
      print(`${result.verdict.padEnd(9)} ${result.name} (${result.sources.join(" and ")})`);
      for (const line of result.details) print(`          ${line}`);
    } catch (reason) {
      if (!(reason instanceof MalformedCaseError)) throw reason;
      counts.malformed++;
      print(`malformed ${reason.message}`);
    }
  }
  if (counts.quirk > 0) print(`${counts.quirk} of Ambari's quirks, counted apart`);
  if (counts.malformed > 0) print(`${counts.malformed} malformed cases, not planned`);
  const all = names.length - counts.quirk;
  print(`${counts.equal} of ${all} plans equal`);
  return counts.malformed > 0 ? 2 : counts.DIFFERENT > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (reason) {
  if (!(reason instanceof UsageError)) throw reason;
  process.stderr.write(`${reason.message}\n`);
  process.exitCode = 2;
}
