import { fits } from "./acknowledged-after-commit.js";
import { type Check, grouped, type Violation } from "./violation.js";

const rule = "what a wiped host had is not run again unasked";

/**
 * What a host had that lost its data folder is UNKNOWN, unless it had ended and the store heard of it, and is not run again unless a
 * person asks for that.
 *
 * Sees: a script of an attempt that started after its journal was deleted; an attempt that the deleted journal had not ended and the
 * store says has; an attempt that follows one of unknown outcome although nobody asked. Cannot see: an attempt that was on its way
 * to the host.
 */
export const wipedHostsStartAnew: Check = ({ journals, scripts, tasks, formerAttempts, words }) => {
  const found: Violation[] = [];
  const current = new Map(tasks.map((task) => [task.taskId, task]));
  const former = new Map(formerAttempts.map((one) => [`${one.taskId}:${one.attempt}`, one]));
  const starts = grouped(
    scripts.filter(({ kind }) => kind === "start"),
    ({ taskId, attempt }) => `${taskId}:${attempt}`,
  );
  for (const { host, entries, wipedAtMs } of journals) {
    if (wipedAtMs === undefined) continue;
    for (const { taskId, attempt, acknowledged, result } of entries) {
      const report = (what: string) => {
        const name = `task ${taskId} attempt ${attempt}`;
        found.push({
          rule,
          what: `${name}, which ${host} lost at ${wipedAtMs}, ${what}`,
          taskIds: [taskId],
        });
      };
      const late = starts.get(`${taskId}:${attempt}`)?.find(({ atMs }) => atMs > wipedAtMs);
      if (late !== undefined) report(`started on ${late.host} at ${late.atMs}`);
      const task = current.get(taskId);
      const stored = task?.attempt === attempt ? task : former.get(`${taskId}:${attempt}`);
      if (acknowledged || stored === undefined) continue;
      const possible = ["UNKNOWN", ...(result === undefined ? [] : (fits[result.status] ?? []))];
      if (possible.includes(stored.status)) continue;
      report(`had ${result?.status ?? "not ended"} and is ${stored.status} in the store`);
    }
  }
  const asked = new Set(
    words
      .filter(({ kind }) => kind === "retry" || kind === "resolve")
      .map((word) => word.requestId),
  );
  for (const { taskId, attempt, status } of formerAttempts) {
    const requestId = current.get(taskId)?.requestId;
    if (status !== "UNKNOWN" || requestId === undefined || asked.has(requestId)) continue;
    const what = `task ${taskId} was UNKNOWN in attempt ${attempt} and was tried again although nobody asked`;
    found.push({ rule, what, taskIds: [taskId] });
  }
  return found;
};
