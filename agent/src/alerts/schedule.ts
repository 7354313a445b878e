import { createHash } from "node:crypto";

/** What is run again and again. */
export interface Scheduled {
  /** Names it. */
  readonly key: string;
  /** Changes when it is to begin anew. */
  readonly version: string;
  readonly intervalMs: number;
}

interface Entry {
  readonly scheduled: Scheduled;
  dueAt: number;
  /** When it last came to an end, or was first scheduled. */
  ranAt: number;
}

/** An interval that is not run for so many times its length is stale. */
const staleIntervals = 2;
/** Of a long interval, the first run comes within that time. */
const longestFirstMs = 600_000;

/**
 * When what is due: each on a grid of its own, whose first point is spread over the interval by a hash, so that neither all of a host nor
 * the same of all hosts is run at once. What comes too late is run once, and the grid stays. Times are of a clock that nobody sets.
 */
export class Schedule {
  private entries = new Map<string, Entry>();

  /** @param seed of this host's own, such as the agent's id */
  constructor(private readonly seed: string) {}

  /** Runs these from now on, and no others. Those that were scheduled in the same version and interval stay as they are. */
  set(all: readonly Scheduled[], now: number): void {
    const former = this.entries;
    this.entries = new Map();
    for (const scheduled of all) {
      const { key, version, intervalMs } = scheduled;
      const had = former.get(key);
      const same =
        had !== undefined &&
        had.scheduled.version === version &&
        had.scheduled.intervalMs === intervalMs;
      const dueAt = now + firstRunMs(this.seed, key, intervalMs);
      this.entries.set(key, same ? had : { scheduled, dueAt, ranAt: now });
    }
  }

  /** When the next one is due; undefined when there is nothing to run. */
  nextAt(): number | undefined {
    let next: number | undefined;
    for (const { dueAt } of this.entries.values()) {
      if (next === undefined || dueAt < next) next = dueAt;
    }
    return next;
  }

  /** The keys that are due, the longest overdue first; each is due again at the next point of its grid that is to come. */
  takeDue(now: number): string[] {
    const due = [...this.entries.values()].filter(({ dueAt }) => dueAt <= now);
    due.sort((a, b) => a.dueAt - b.dueAt);
    for (const entry of due) {
      const { intervalMs } = entry.scheduled;
      const points = Math.floor((now - entry.dueAt) / intervalMs) + 1;
      entry.dueAt += points * intervalMs;
    }
    return due.map(({ scheduled }) => scheduled.key);
  }

  /** It has been run to its end. */
  ran(key: string, now: number): void {
    const entry = this.entries.get(key);
    if (entry !== undefined) entry.ranAt = now;
  }

  /** The keys of those that have not been run for twice their interval. */
  stale(now: number): string[] {
    return [...this.entries.values()]
      .filter(({ ranAt, scheduled }) => now - ranAt > staleIntervals * scheduled.intervalMs)
      .map(({ scheduled }) => scheduled.key);
  }
}

/** How long after it is scheduled something is first run on a host: anything up to its interval, at most ten minutes. */
export function firstRunMs(seed: string, key: string, intervalMs: number): number {
  const hash = createHash("sha256").update(`${seed}\0${key}`).digest().readUInt32BE();
  return Math.floor((hash / 2 ** 32) * Math.min(intervalMs, longestFirstMs));
}
