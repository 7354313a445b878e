import { readFile, rename, writeFile } from "node:fs/promises";
import { type Commit, isLoaded, loadText } from "./machine.js";
import type { Outcome } from "./run-benches.js";
import { cellsOf, whyNot } from "./table.js";

/** On what, and of what, figures were taken. */
export interface Origin {
  readonly commit: Commit;
  readonly machine: string;
}

const parts = ["Figures", "Runs", "Notes"] as const;
type Part = (typeof parts)[number];

const heads: Readonly<Record<Part, string>> = {
  Figures:
    "| row | what | measured | floor | ratio | target | met | note |\n|---|---|--:|--:|--:|--:|---|---|",
  Runs: "| row | when | commit | took | before it | machine |\n|---|---|---|---|---|---|",
  Notes: "",
};

const intro = `# Results

Written by \`npm run bench -- --record\`; [how to read it](../docs/performance.md). A row's figures stay until it is run again, so each says below of which commit they are, and what else the machine had to do just before.
`;

/**
 * Puts what was measured into the file of results: of benchmarks that were run the lines are replaced, those of others stay. `order`: all
 * benchmarks; lines of others are dropped.
 */
export async function recordResults(
  file: string,
  outcomes: readonly Outcome[],
  origin: Origin,
  order: readonly string[],
): Promise<void> {
  const before = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  // Written whole or not at all.
  await writeFile(`${file}.new`, resultsText(before, outcomes, origin, order));
  await rename(`${file}.new`, file);
}

/** The text of `recordResults`; `before`: what the file held. */
export function resultsText(
  before: string,
  outcomes: readonly Outcome[],
  origin: Origin,
  order: readonly string[],
): string {
  const sections = parts.map((part) => {
    const kept = linesOf(before, part);
    const lines = order.flatMap((name) => {
      const outcome = outcomes.find((one) => one.name === name);
      return outcome === undefined
        ? kept.filter((line) => rowOf(line) === name)
        : written[part](outcome, origin);
    });
    return ["", `## ${part}`, "", ...(heads[part] === "" ? [] : [heads[part]]), ...lines].join(
      "\n",
    );
  });
  return `${[intro.trimEnd(), ...sections].join("\n")}\n`;
}

const written: Readonly<Record<Part, (outcome: Outcome, origin: Origin) => string[]>> = {
  Figures: ({ name, result, ...outcome }) =>
    result === undefined
      ? [markdown([name, whyNot(outcome), "", "", "", "", "", ""])]
      : result.measures.map((measure) => markdown([name, ...cellsOf(measure)])),
  Runs: ({ name, startedAt, tookMs, load }, { commit, machine }) => [
    markdown([
      name,
      `${startedAt.toISOString().slice(0, 16).replace("T", " ")} UTC`,
      commit.dirty ? `${commit.id}, with changes` : commit.id,
      `${(tookMs / 1000).toFixed(0)} s`,
      isLoaded(load) ? `${loadText(load)}: loaded by others` : loadText(load),
      machine,
    ]),
  ],
  Notes: ({ name, result }) =>
    (result?.notes ?? []).map((note) => `* **${name}**: ${oneLine(note)}`),
};

function markdown(cells: readonly string[]): string {
  return `| ${cells.map((cell) => oneLine(cell).replaceAll("|", "\\|")).join(" | ")} |`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ");
}

/** The lines of a section that are a benchmark's. */
function linesOf(text: string, part: Part): string[] {
  const section = text.split(/^## /m).find((one) => one.startsWith(`${part}\n`)) ?? "";
  return section.split("\n").filter((line) => rowOf(line) !== undefined);
}

function rowOf(line: string): string | undefined {
  return /^\| (\S+) \|/.exec(line)?.[1] ?? /^\* \*\*(\S+)\*\*: /.exec(line)?.[1];
}
