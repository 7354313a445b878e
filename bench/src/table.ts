import { type Measure, meets } from "./measure.js";

const heads = ["what", "measured", "floor", "ratio", "target", "", "note"];

/** A benchmark's measures as a table of plain text. */
export function tableOf(measures: readonly Measure[]): string {
  const rows = [heads, ...measures.map(cellsOf)];
  // A column in which nothing stands is left out.
  const used = heads.map((_, at) => rows.some((row, line) => line > 0 && row[at] !== ""));
  const widths = heads.map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const numbers = new Set([1, 2, 3, 4]);
  return rows
    .map((row) =>
      row
        .map((cell, at) =>
          numbers.has(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
        )
        .filter((_, at) => used[at])
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function cellsOf(measure: Measure): string[] {
  const { what, unit, value, floor, target, note = "" } = measure;
  const met = meets(measure);
  return [
    what,
    `${figure(value)} ${unit}`.trimEnd(),
    floor === undefined ? "" : figure(floor),
    floor === undefined ? "" : (value / floor).toFixed(2),
    target === undefined ? "" : limitText(target),
    met === undefined ? "" : met ? "ok" : "NOT",
    note,
  ];
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
