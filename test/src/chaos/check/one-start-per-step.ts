import { type Check, grouped } from "./violation.js";

/**
 * Invariant 2: one (task, attempt, try, step) starts at most once.
 *
 * Sees: two lines of scripts for one step, on whichever hosts. Where a script is not told its try, it sees more starts of an attempt
 * than the journal counts tries. Cannot see: a script that started and was killed before its first line.
 */
export const oneStartPerStep: Check = ({ scripts, journals }) => {
  const tries = new Map(
    journals.flatMap(({ entries }) =>
      entries.map(({ storeId, taskId, attempt, result }) => [
        `${storeId}:${taskId}:${attempt}`,
        result?.tries ?? 1,
      ]),
    ),
  );
  const starts = scripts.filter(({ kind }) => kind === "start");
  const nameOf = ({ storeId, taskId, attempt }: (typeof starts)[number]) =>
    `${storeId}:${taskId}:${attempt}`;
  const steps = grouped(starts, (line) => `${nameOf(line)} step ${line.step}`);
  return [...steps].flatMap(([name, lines]) => {
    const [first] = lines;
    if (first === undefined) return [];
    const allowed = first.step === "?" ? Math.max(1, tries.get(nameOf(first)) ?? 1) : 1;
    if (lines.length <= allowed) return [];
    const where = lines.map(({ host, atMs }) => `${host} at ${Math.round(atMs)}`).join(", ");
    const what = `${name} started ${lines.length} times: ${where}`;
    return [{ rule: "2 a step starts at most once", what, taskIds: [first.taskId] }];
  });
};
