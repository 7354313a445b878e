import { doneStatuses, heldStatuses } from "./statuses.js";
import type { Check } from "./violation.js";

/**
 * Every request ended, or says why it waits: each of its tasks is done, waits for a person, or has an explanation.
 *
 * Looks at the end of the run, long after all faults were healed.
 */
export const everyRequestEnds: Check = ({ requests, tasks, explanations }) =>
  requests.flatMap(({ requestId, ready, open }) => {
    if (!ready || !open) return [];
    const stuck = tasks.filter(
      (task) =>
        task.requestId === requestId &&
        !doneStatuses.has(task.status) &&
        !heldStatuses.has(task.status) &&
        (explanations.get(task.taskId) ?? []).length === 0,
    );
    if (stuck.length === 0) return [];
    const each = stuck
      .slice(0, 5)
      .map(({ taskId, status, host }) => `${taskId} ${status} on ${host}`);
    return [
      {
        rule: "every request ends",
        what: `request ${requestId} has not ended; ${stuck.length} tasks wait without a word: ${each.join(", ")}`,
        taskIds: stuck.slice(0, 3).map(({ taskId }) => taskId),
        requestIds: [requestId],
      },
    ];
  });
