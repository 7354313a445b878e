import { type DueTimes, mostCounted, passedTimes } from "./due-times.js";

/** What decides about a schedule's due times. */
export interface Judged {
  readonly times: DueTimes;
  /** Due times up to here do not count any more. */
  readonly countedUntilMs: number;
  /** How late a run may be: what counts as on time, or as long as it may be caught up. */
  readonly latestMs: number;
}

/** What is to become of the due times that have come. */
export interface Verdict {
  /** The last of them; the others before it do not run. */
  readonly dueMs: number;
  /** Why it does not run either; undefined when it does. */
  readonly skip: string | undefined;
  /** What became of those before, in words; empty when there are none. */
  readonly missed: string;
}

/** Says what is to become of the due times that have come; undefined when none has. */
export function judgeDue(schedule: Judged, nowMs: number): Verdict | undefined {
  const { times, countedUntilMs, latestMs } = schedule;
  const passed = passedTimes(times, countedUntilMs, nowMs);
  if (passed === undefined) return undefined;
  const { lastMs: dueMs, earlier } = passed;
  const lateMs = nowMs - dueMs;
  const isMissed = lateMs > latestMs;
  return {
    dueMs,
    skip: isMissed
      ? `missed: nobody could run it when it was due, and it would be ${spoken(lateMs)} late`
      : undefined,
    missed: earlier === 0 ? "" : missedBefore(earlier),
  };
}

function missedBefore(earlier: number): string {
  const count = earlier >= mostCounted ? `${mostCounted} or more` : String(earlier);
  return `${count} due time${earlier === 1 ? " was" : "s were"} missed before it`;
}

/** A length of time in its largest fitting unit: "45 s", "12 min", "3 h", "2 d". */
function spoken(ms: number): string {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
  ] as const;
  const [unit, length] = units.find(([, each]) => ms >= 2 * each) ?? ["s", 1_000];
  return `${Math.round(ms / length)} ${unit}`;
}
