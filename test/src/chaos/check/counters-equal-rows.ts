import { doneStatuses } from "./statuses.js";
import { type Check, grouped, type Violation } from "./violation.js";

/**
 * Invariant 8: counters equal what the rows say.
 *
 * Sees, in the end: counters of a role that differ from its tasks; a request that is over although tasks are not, or the other way
 * round; progress of 100 that is not the end, or an end that is not 100. Cannot see: counters that were wrong in between and
 * right again.
 */
export const countersEqualRows: Check = ({ requests, roles, tasks }) => {
  const rule = "8 counters equal the rows";
  const found: Violation[] = [];
  const byRole = grouped(tasks, (task) => `${task.requestId}:${task.stageId}:${task.roleIndex}`);
  for (const { requestId, stageId, roleIndex, role, counters } of roles) {
    const own = byRole.get(`${requestId}:${stageId}:${roleIndex}`) ?? [];
    const rows = new Map([...grouped(own, ({ status }) => status)].map(([s, g]) => [s, g.length]));
    const statuses = new Set([...Object.keys(counters), ...rows.keys()]);
    const wrong = [...statuses].filter((s) => (counters[s] ?? 0) !== (rows.get(s) ?? 0));
    if (wrong.length === 0) continue;
    const each = wrong.map((s) => `${s} ${counters[s] ?? 0} instead of ${rows.get(s) ?? 0}`);
    const what = `request ${requestId} stage ${stageId} ${role} counts ${each.join(", ")}`;
    found.push({ rule, what, requestIds: [requestId] });
  }
  const byRequest = grouped(tasks, ({ requestId }) => String(requestId));
  for (const { requestId, ready, open, progress } of requests) {
    if (!ready) continue;
    const own = byRequest.get(String(requestId)) ?? [];
    const over = own.every(({ status }) => doneStatuses.has(status));
    if (over === !open && over === (progress === 100)) continue;
    const what = `request ${requestId} is ${open ? "open" : "over"} at ${progress} %, its tasks are ${over ? "" : "not "}all done`;
    found.push({ rule, what, requestIds: [requestId] });
  }
  return found;
};
