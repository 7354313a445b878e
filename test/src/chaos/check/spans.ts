import type { History } from "./history.js";
import { grouped } from "./violation.js";

/** Scripts tell the time in steps of so much, rounded down. */
export const clockStepMs = 10;

/** When the script of an attempt ran, by its own lines; of several tries, from the first's start to the last's end. */
export interface Span {
  readonly taskId: number;
  readonly attempt: number;
  readonly host: string;
  readonly fromMs: number;
  /** Undefined when neither the script nor the journal says that it ended. */
  readonly toMs: number | undefined;
}

/** The spans of all attempts that started, by task, in the order of their attempts. */
export function spansOf({ scripts, journals, crashes }: History): Map<number, Span[]> {
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
    const { taskId, attempt, host } = first;
    const lastEnd = lines.findLast(({ kind }) => kind === "end");
    const fromMs = Math.min(...starts.map(({ atMs }) => atMs));
    const lastStartMs = Math.max(...starts.map(({ atMs }) => atMs));
    // A script that was killed writes down no end; its agent's word stands in for it, or that all on its host was killed.
    const crash = crashes.find((one) => one.host === host && one.atMs >= lastStartMs - clockStepMs);
    const ended =
      lines.length === 2 * starts.length ? lastEnd?.atMs : (ends.get(name) ?? crash?.atMs);
    const list = spans.get(taskId) ?? [];
    list.push({ taskId, attempt, host, fromMs, toMs: ended });
    spans.set(taskId, list);
  }
  for (const list of spans.values()) list.sort((a, b) => a.attempt - b.attempt);
  return spans;
}
