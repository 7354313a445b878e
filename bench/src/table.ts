import { type Measure, meets } from "./measure.js";
import type { Outcome } from "./run-benches.js";

const heads = ["what", "measured", "floor", "ratio", "target", "met", "note"];
const numbers = new Set(["measured", "floor", "ratio", "target"]);

/** A benchmark's measures as a table of plain text. */
export function tableOf(measures: readonly Measure[]): string {
  return textTable(heads, measures.map(cellsOf));
}

/** What became of benchmarks, in one table: their measures, or in a few words why there are none. */
export function summaryOf(outcomes: readonly Outcome[]): string {
  const withoutNote = heads.slice(0, -1);
  return textTable(
    ["row", ...withoutNote],
    outcomes.flatMap(({ name, result, ...outcome }) =>
      result === undefined
        ? [[name, whyNot(outcome)]]
        : result.measures.map((measure) => [name, ...cellsOf(measure).slice(0, -1)]),
    ),
  );
}

/** Why a benchmark has no measures. */
export function whyNot({ skipped, failed }: Pick<Outcome, "skipped" | "failed">): string {
  return skipped === undefined ? `could not be measured: ${failed}` : `skipped: ${skipped}`;
}

/** A measure's cells under: what, measured, floor, ratio, target, met, note. */
export function cellsOf(measure: Measure): string[] {
  const { what, unit, value, floor, target, note = "" } = measure;
  const met = meets(measure);
  return [
    what,
    `${figure(value)} ${unit}`.trimEnd(),
    floor === undefined ? "" : figure(floor),
    floor === undefined ? "" : (value / floor).toFixed(2),
    target === undefined ? "" : limitText(target),
    met === undefined ? "" : met ? "yes" : "NO",
    note,
  ];
}

/** A column in which nothing stands is left out. Of a row that is shorter than the others the last cell is as wide as it likes. */
function textTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const fits = (row: readonly string[], at: number) =>
    row.length === columns.length || at < row.length - 1;
  const used = columns.map((_, at) => rows.some((row) => fits(row, at) && (row[at] ?? "") !== ""));
  const widths = columns.map((head, at) =>
    Math.max(head.length, ...rows.map((row) => (fits(row, at) ? (row[at] ?? "").length : 0))),
  );
  return [columns, ...rows]
    .map((row) =>
      row
        .map((cell, at) => {
          const width = widths[at] ?? 0;
          return numbers.has(columns[at] ?? "") ? cell.padStart(width) : cell.padEnd(width);
        })
        .filter((_, at) => used[at] || !fits(row, at))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function limitText(target: NonNullable<Measure["target"]>): string {
  return "most" in target ? `<= ${figure(target.most)}` : `>= ${figure(target.least)}`;
}

/** Three digits that count, and no exponent. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return "?";
  if (Number.isInteger(value) || Math.abs(value) >= 100) {
    return Math.round(value).toLocaleString("en");
  }
  return String(Number(value.toPrecision(3)));
}
