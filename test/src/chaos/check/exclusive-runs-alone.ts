import { clockStepMs, spansOf } from "./spans.js";
import { askedByRequest } from "./stages-in-order.js";
import type { Check } from "./violation.js";

/**
 * While a command of an EXCLUSIVE request runs, none of another request does.
 *
 * Sees: scripts that ran at the same time, on whichever hosts. Passes over exclusive requests that were paused or tried again, which
 * then wait for others, and over tasks that were UNKNOWN at some time, for whose end nobody waits.
 */
export const exclusiveRunsAlone: Check = (history) => {
  const asked = askedByRequest(history);
  const requestOf = new Map(history.tasks.map(({ taskId, requestId }) => [taskId, requestId]));
  const interrupted = new Set(
    history.words.flatMap(({ kind, requestId }) => (kind === "cancel" ? [] : [requestId])),
  );
  const unsure = new Set(
    [...history.sightings, ...history.formerAttempts, ...history.tasks].flatMap(
      ({ status, taskId }) => (status === "UNKNOWN" ? [taskId] : []),
    ),
  );
  const spans = [...spansOf(history).values()]
    .flat()
    .filter(({ taskId }) => !unsure.has(taskId))
    .map((span) => ({ ...span, requestId: requestOf.get(span.taskId) ?? 0 }));
  const alone = spans.filter(
    ({ requestId }) =>
      asked.get(requestId)?.concurrency === "EXCLUSIVE" && !interrupted.has(requestId),
  );
  return alone.flatMap((span) =>
    spans.flatMap((other) => {
      if (other.requestId === span.requestId) return [];
      const { fromMs, toMs = fromMs } = other;
      const apart =
        toMs <= span.fromMs + clockStepMs || fromMs >= (span.toMs ?? span.fromMs) - clockStepMs;
      if (apart) return [];
      const what = `task ${other.taskId} of request ${other.requestId} ran from ${fromMs} to ${toMs}, task ${span.taskId} of request ${span.requestId}, which is EXCLUSIVE, from ${span.fromMs} to ${span.toMs ?? "?"}`;
      return [{ rule: "EXCLUSIVE runs alone", what, taskIds: [span.taskId, other.taskId] }];
    }),
  );
};
