import type { DueTimes } from "./due-times.js";

/** One time of a maintenance window's being open, in milliseconds since 1970. */
export interface Opening {
  readonly opensMs: number;
  readonly closesMs: number;
}

/** How many openings are looked at to find the shortest time between two. */
const lookedAt = 400;

/** The opening that there is at a time, or else the next one; undefined when there is none. */
export function openingAt(
  starts: DueTimes,
  durationMs: number,
  nowMs: number,
): Opening | undefined {
  // Openings never overlap: the first that has not ended is the only one that can have begun.
  const opensMs = starts.next(nowMs - durationMs);
  return opensMs === undefined ? undefined : { opensMs, closesMs: opensMs + durationMs };
}

/** The shortest time between two openings of those to come; Infinity when there is one at most. */
export function shortestPeriod(starts: DueTimes, nowMs: number): number {
  let shortest = Number.POSITIVE_INFINITY;
  let before = starts.next(nowMs);
  for (let count = 0; before !== undefined && count < lookedAt; count += 1) {
    const next = starts.next(before);
    if (next !== undefined) shortest = Math.min(shortest, next - before);
    before = next;
  }
  return shortest;
}
