import { type Check, grouped, type Violation } from "./violation.js";

const rule = "one run a due time";
const key = /^schedule\/(\d+)\/(\d+)$/;
/** A run that starts later was missed, and is to be skipped; with what a look at the clock and a commit may take besides. */
const latestMs = 60_000 + 15_000;

/**
 * A schedule makes one request for each due time, at that time or not much later, and none while it is paused, whichever schedulers lead.
 *
 * Sees: two requests of one due time; one of a time that is none of the schedule's, that has not come, or that was missed; one made
 * after the schedule was paused; a last run that the schedule tells of and that is not there; a schedule that never ran. Cannot see: a
 * due time at which a scheduler led and made no request, since only the last of several that have passed may run.
 */
export const oneRunADueTime: Check = ({ schedules, requests }) =>
  schedules.flatMap((schedule): Violation[] => {
    const { name, scheduleId, everyMs, madeAt, pausedAt, lastDueAt, lastRequestId } = schedule;
    const found: Violation[] = [];
    const report = (what: string, requestIds: readonly number[]) =>
      found.push({ rule, what: `schedule ${name}: ${what}`, requestIds });
    const runs = requests.flatMap((request) => {
      const [, id, dueAt] = key.exec(request.key) ?? [];
      return Number(id) === scheduleId ? [{ ...request, dueAt: Number(dueAt) }] : [];
    });
    for (const [due, same] of grouped(runs, ({ dueAt }) => String(dueAt))) {
      const ids = same.map(({ requestId }) => requestId);
      if (same.length > 1) report(`due time ${due} has requests ${ids.join(", ")}`, ids);
    }
    for (const { requestId, dueAt, createdAt } of runs) {
      const late = createdAt - dueAt;
      if (dueAt % everyMs !== 0 || dueAt <= madeAt - everyMs) {
        report(`request ${requestId} is of ${dueAt}, at which it was not due`, [requestId]);
      } else if (late < 0 || late > latestMs) {
        report(`request ${requestId} was made ${late} ms after it was due`, [requestId]);
      } else if (dueAt > pausedAt) {
        report(`request ${requestId} was due at ${dueAt}, and it was paused`, [requestId]);
      }
    }
    if (runs.length === 0) report("it never ran", []);
    const last = runs.find(({ requestId }) => requestId === lastRequestId);
    if (lastRequestId !== 0 && (last === undefined || last.dueAt > lastDueAt)) {
      report(`its last request ${lastRequestId} is not one of its own`, [lastRequestId]);
    }
    return found;
  });
