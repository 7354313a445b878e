import type { Sighting } from "./history.js";
import { askedByRequest } from "./stages-in-order.js";
import { failedStatuses } from "./statuses.js";
import { type Check, grouped, type Violation } from "./violation.js";

/** After these a person wants it to go on. */
const goesOn = new Set(["resume", "retry", "resolve"]);

/**
 * Invariant 7: once a failure has committed that exceeds the budget, no task of that request is released, until a person resumes it.
 *
 * Sees: in the order in which the request's tasks were seen committed, one that is QUEUED or further although it still waited when
 * more had failed than the budget allows. Cannot see: a release and a failure that fell between the same two looks.
 */
export const budgetStopsReleases: Check = ({ sightings, words, ...history }) => {
  const rule = "7 nothing is released once the budget is exceeded";
  const asked = askedByRequest({ sightings, words, ...history });
  const found: Violation[] = [];
  for (const [id, seen] of grouped(sightings, ({ requestId }) => String(requestId))) {
    const budget = asked.get(Number(id))?.maxFailures;
    if (budget === undefined) continue;
    const goneOn = words
      .filter(({ requestId, kind }) => requestId === Number(id) && goesOn.has(kind))
      .map(({ atMs }) => atMs);
    const latest = new Map<number, Sighting>();
    let exceeded: { atMs: number; failed: number[] } | undefined;
    // All that was seen in one look is one state.
    for (const [, look] of grouped(seen, ({ atMs }) => String(atMs))) {
      const atMs = look[0]?.atMs ?? 0;
      if (exceeded !== undefined && goneOn.some((word) => word <= atMs)) break;
      for (const sighting of look) {
        const before = latest.get(sighting.taskId);
        latest.set(sighting.taskId, sighting);
        const waited = before === undefined || before.status === "PENDING";
        const released = !["PENDING", "ABORTED"].includes(sighting.status);
        if (exceeded === undefined || !waited || !released) continue;
        const what = `request ${id}: task ${sighting.taskId} was released after task ${exceeded.failed.join(", ")} had failed at ${Math.round(exceeded.atMs)}, budget ${budget}`;
        found.push({ rule, what, taskIds: [sighting.taskId, ...exceeded.failed] });
      }
      const failed = [...latest.values()].filter(({ status }) => failedStatuses.has(status));
      if (exceeded === undefined && failed.length > budget) {
        exceeded = { atMs, failed: failed.map(({ taskId }) => taskId) };
      }
    }
  }
  return found;
};
