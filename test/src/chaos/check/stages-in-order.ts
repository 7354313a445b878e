import type { Asked, History, StoredRole, StoredTask } from "./history.js";
import { spansOf } from "./spans.js";
import { type Check, grouped, type Violation } from "./violation.js";

const rule = "5 no task starts before what it waits for is done";

/**
 * Invariant 5: no task of stage k+1 starts before stage k is done and has succeeded; in DEPENDENCY_ORDERED no task before its blocker
 * roles are.
 *
 * Sees, by the machine's own clock: a script that started while one that had to be done before still ran, or started only later; and
 * a start behind a role that failed for good, where the request's policy stops at failures. Looks at first attempts only, and passes
 * over tasks that were UNKNOWN at some time, which count as done while they may still run. Cannot see a stage that was released too
 * early and whose scripts happened to run in order all the same.
 */
export const stagesInOrder: Check = (history) => {
  const spans = spansOf(history);
  const asked = askedByRequest(history);
  const retried = new Set(
    history.words.flatMap(({ kind, requestId }) => (kind === "retry" ? [requestId] : [])),
  );
  const unknown = new Set(
    history.sightings.flatMap(({ status, taskId }) => (status === "UNKNOWN" ? [taskId] : [])),
  );
  const roles = grouped(history.roles, ({ requestId }) => String(requestId));
  const found: Violation[] = [];
  for (const [id, tasks] of grouped(history.tasks, ({ requestId }) => String(requestId))) {
    const request = asked.get(Number(id));
    if (request === undefined) continue;
    for (const task of tasks) {
      const first = spans.get(task.taskId)?.[0];
      if (first === undefined) continue;
      const before = tasks.filter((other) => mustPrecede(other, task, request));
      for (const other of before) {
        const span = spans.get(other.taskId)?.[0];
        if (span === undefined || span.attempt > 1 || unknown.has(other.taskId)) continue;
        const { fromMs, toMs = fromMs } = span;
        if (Math.max(fromMs, toMs) <= first.fromMs) continue;
        const what = `${nameOf(task)} started at ${first.fromMs}, before ${nameOf(other)}, which ran from ${fromMs} to ${toMs}, was done`;
        found.push({ rule, what, taskIds: [task.taskId, other.taskId] });
      }
      if (request.onFailure !== "ABORT" || retried.has(Number(id))) continue;
      const failed = failedRole(before, roles.get(id) ?? []);
      if (failed === undefined) continue;
      const taskIds = [task, ...failed.tasks].map(({ taskId }) => taskId);
      const what = `${nameOf(task)} started although ${failed.role.role} before it failed`;
      found.push({ rule, what, taskIds });
    }
  }
  return found;
};

/** What was asked for, by request. */
export function askedByRequest({ submissions }: History): Map<number, Asked> {
  return new Map(
    submissions.flatMap(({ answer, asked }) =>
      answer.kind === "acknowledged" ? [[answer.requestId, asked]] : [],
    ),
  );
}

/** A role of which fewer succeeded than its factor asks for, by the rows of its tasks. */
export function failedRole(
  tasks: readonly StoredTask[],
  roles: readonly StoredRole[],
): { role: StoredRole; tasks: StoredTask[] } | undefined {
  for (const role of roles) {
    const own = tasks.filter(
      ({ stageId, roleIndex }) => stageId === role.stageId && roleIndex === role.roleIndex,
    );
    const good = own.filter(({ status }) => ["COMPLETED", "SKIPPED_FAILED"].includes(status));
    if (good.length < own.length * role.successFactor - 1e-6) return { role, tasks: own };
  }
  return undefined;
}

function mustPrecede(other: StoredTask, task: StoredTask, { blockers }: Asked): boolean {
  if (blockers === undefined) return other.stageId < task.stageId;
  const nodeOf = ({ role, roleCommand }: StoredTask) => `${role}-${roleCommand}`;
  return blockers[nodeOf(task)]?.includes(nodeOf(other)) ?? false;
}

function nameOf({ taskId, role, roleCommand, stageId, requestId }: StoredTask): string {
  return `task ${taskId} (request ${requestId}, stage ${stageId}, ${role} ${roleCommand})`;
}
