import { finalStatuses } from "./statuses.js";
import { type Check, grouped, type Violation } from "./violation.js";

/**
 * Invariant 4: a final status never changes, save UNKNOWN to what really happened, and by an explicit retry, which is a new attempt.
 *
 * Sees: what was seen committed of each task in the order it was seen, and its row in the end: a final status that became another
 * one in the same attempt, an attempt that went back, a final one that another attempt followed although nobody asked. Cannot see:
 * what came and went between two looks.
 */
export const finalStaysFinal: Check = ({ sightings, tasks, words }) => {
  const rule = "4 a final status never changes";
  const retried = new Map<number, number>();
  for (const { requestId, kind, atMs } of words) {
    if (kind !== "retry" && kind !== "resolve") continue;
    retried.set(requestId, Math.min(atMs, retried.get(requestId) ?? Infinity));
  }
  const ends = tasks.map((task) => ({ ...task, atMs: Infinity }));
  const found: Violation[] = [];
  for (const [, seen] of grouped([...sightings, ...ends], ({ taskId }) => String(taskId))) {
    const inOrder = seen.toSorted((a, b) => a.atMs - b.atMs);
    for (const [i, after] of inOrder.entries()) {
      const before = inOrder[i - 1];
      if (before === undefined) continue;
      const { taskId } = after;
      const change = `task ${taskId} was ${before.status} in attempt ${before.attempt}, then ${after.status} in attempt ${after.attempt}`;
      const final = finalStatuses.has(before.status);
      const asked = (retried.get(after.requestId) ?? Infinity) <= after.atMs;
      const wrong =
        after.attempt < before.attempt ||
        (after.attempt === before.attempt && final && after.status !== before.status) ||
        (after.attempt > before.attempt && final && !asked);
      if (wrong) found.push({ rule, what: change, taskIds: [taskId] });
    }
  }
  return found;
};
