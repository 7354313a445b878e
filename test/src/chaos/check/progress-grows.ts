import { type Check, grouped, type Violation } from "./violation.js";

/** A commit that others saw may be lost with the database when it was not on disk yet and nobody had been told. */
const unsureBeforeKillMs = 2_000;

/**
 * Progress only grows within a run, for each watcher.
 *
 * Passes over a step back across a kill of the database, if the higher figure was seen within the two seconds before: a reader may
 * see what is committed before it is durable.
 */
export const progressGrows: Check = ({ progress, databaseKills }) => {
  const found: Violation[] = [];
  const runs = grouped(progress, ({ watcher, requestId, run }) => `${watcher} ${requestId} ${run}`);
  for (const [, seen] of runs) {
    for (const [i, after] of seen.entries()) {
      const before = seen[i - 1];
      if (before === undefined || after.percent >= before.percent) continue;
      const lost = databaseKills.some(
        (kill) =>
          before.atMs < kill && kill - before.atMs < unsureBeforeKillMs && kill < after.atMs,
      );
      if (lost) continue;
      const what = `request ${after.requestId} went from ${before.percent} % to ${after.percent} % at ${Math.round(after.atMs)}`;
      found.push({ rule: "progress only grows", what, requestIds: [after.requestId] });
    }
  }
  return found;
};
