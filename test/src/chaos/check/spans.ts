import type { History } from "./history.js";
import { grouped } from "./violation.js";

/** When the script of an attempt ran, by its own lines; of several tries, from the first's start to the last's end. */
export interface Span {
  readonly taskId: number;
  readonly attempt: number;
  readonly fromMs: number;
  /** Undefined when neither the script nor the journal says that it ended. */
  readonly toMs: number | undefined;
}

/** The spans of all attempts that started, by task, in the order of their attempts. */
export function spansOf({ scripts, journals }: History): Map<number, Span[]> {
  const ends = new Map(
    journals.flatMap(({ entries }) =>
      entries.map(({ taskId, attempt, result }) => [`${taskId}:${attempt}`, result?.endedMs]),
    ),
  );
  const spans = new Map<number, Span[]>();
  const attempts = grouped(scripts, ({ taskId, attempt }) => `${taskId}:${attempt}`);
  for (const [name, lines] of attempts) {
    const starts = lines.filter(({ kind }) => kind === "start");
    const [first] = starts;
    if (first === undefined) continue;
    const { taskId, attempt } = first;
    const lastEnd = lines.findLast(({ kind }) => kind === "end");
    // A script that was killed writes down no end; its agent's word stands in for it.
    const ended = lines.length === 2 * starts.length ? lastEnd?.atMs : ends.get(name);
    const fromMs = Math.min(...starts.map(({ atMs }) => atMs));
    const list = spans.get(taskId) ?? [];
    list.push({ taskId, attempt, fromMs, toMs: ended });
    spans.set(taskId, list);
  }
  for (const list of spans.values()) list.sort((a, b) => a.attempt - b.attempt);
  return spans;
}
