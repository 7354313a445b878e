import { clockStepMs, type Span, spansOf } from "./spans.js";
import { askedByRequest } from "./stages-in-order.js";
import { type Check, grouped } from "./violation.js";

/**
 * One command at a time on a host, of all requests that are not PARALLEL.
 *
 * Sees: scripts of two such requests, or of one, that ran on one host at the same time. Cannot see: that they ran in the order of the
 * requests, since pauses, holds, retries and stages may turn that round.
 */
export const oneCommandAHost: Check = (history) => {
  const asked = askedByRequest(history);
  const requestOf = new Map(history.tasks.map(({ taskId, requestId }) => [taskId, requestId]));
  const inTurn = [...spansOf(history).values()].flat().filter(({ taskId }) => {
    const request = asked.get(requestOf.get(taskId) ?? 0);
    return request !== undefined && request.concurrency !== "PARALLEL";
  });
  return [...grouped(inTurn, ({ host }) => host)].flatMap(([host, spans]) => {
    const inOrder = spans.toSorted((a, b) => a.fromMs - b.fromMs);
    let before: Span | undefined;
    return inOrder.flatMap((span) => {
      const former = before;
      if ((span.toMs ?? 0) >= (before?.toMs ?? 0)) before = span;
      if (former?.toMs === undefined || former.toMs <= span.fromMs + clockStepMs) return [];
      if (former.taskId === span.taskId) return []; // another check's
      const what = `on ${host} task ${span.taskId} started at ${span.fromMs}, while task ${former.taskId} ran from ${former.fromMs} to ${former.toMs}`;
      const taskIds = [former.taskId, span.taskId];
      return [{ rule: "one command at a time on a host", what, taskIds }];
    });
  });
};
