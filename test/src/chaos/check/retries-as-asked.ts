import type { Asked, JournalEntry } from "./history.js";
import { clockStepMs, spansOf } from "./spans.js";
import { askedByRequest } from "./stages-in-order.js";
import type { Check, Violation } from "./violation.js";

const rule = "what failed is tried again as was asked for";

/** So often at most is tried again what was interrupted, with AT_LEAST_ONCE. */
const mostInterrupted = 10;

/**
 * The guarantee and the retry policy: an attempt follows another by itself only after an end that the policy or the guarantee names,
 * so often as it allows, and after its back-off; with AT_LEAST_ONCE, what was interrupted is tried again.
 *
 * Looks at requests of which no person said retry or resolve, and passes over tasks that were UNKNOWN at some time. Cannot see: a
 * failure that policy would have tried again and that was not, since an abort of the request may have come first.
 */
export const retriesAsAsked: Check = (history) => {
  const found: Violation[] = [];
  const asked = askedByRequest(history);
  const spans = spansOf(history);
  const spoken = new Set(
    history.words.flatMap(({ kind, requestId }) =>
      kind === "retry" || kind === "resolve" ? [requestId] : [],
    ),
  );
  const stopped = new Set(
    history.requests.flatMap(({ requestId, aborted, cancelRequested }) =>
      aborted || cancelRequested ? [requestId] : [],
    ),
  );
  const unsure = new Set(
    [...history.sightings, ...history.formerAttempts].flatMap(({ status, taskId }) =>
      status === "UNKNOWN" ? [taskId] : [],
    ),
  );
  const results = new Map<string, JournalEntry["result"]>(
    history.journals.flatMap(({ entries }) =>
      entries.map(({ taskId, attempt, result }) => [`${taskId}:${attempt}`, result]),
    ),
  );
  for (const { taskId, requestId, attempt: last, status } of history.tasks) {
    const request = asked.get(requestId);
    if (request === undefined || spoken.has(requestId) || unsure.has(taskId)) continue;
    const report = (what: string) =>
      found.push({ rule, what: `task ${taskId} attempt ${what}`, taskIds: [taskId] });
    for (let attempt = 1; attempt < last; attempt += 1) {
      const result = results.get(`${taskId}:${attempt}`);
      const most = mostAfter(result?.status, request);
      if (attempt >= most) {
        report(
          `${attempt} ended ${result?.status ?? "without a word"}, of ${most}, and was tried again`,
        );
        continue;
      }
      const next = spans.get(taskId)?.find((span) => span.attempt === attempt + 1);
      const pauseMs = (request.retry?.backoffMs ?? 0) * 2 ** (attempt - 1);
      const pausedMs = (next?.fromMs ?? Infinity) - (result?.endedMs ?? 0) + 2 * clockStepMs;
      if (pausedMs >= pauseMs) continue;
      report(
        `${attempt + 1} started ${pausedMs} ms after the one before ended, not after ${pauseMs} ms`,
      );
    }
    const { status: end, started } = results.get(`${taskId}:${last}`) ?? {};
    const due = end === "INTERRUPTED" && started && last < mostAfter(end, request);
    if (due && !stopped.has(requestId) && status !== "PENDING") {
      report(`${last} was interrupted and not tried again, although AT_LEAST_ONCE was asked for`);
    }
  }
  return found;
};

/** How many attempts there may be in all after such an end of one. */
function mostAfter(status: string | undefined, { retry, guarantee }: Asked): number {
  const most = retry?.maxAttempts ?? 1;
  if (status === "FAILED" || status === "TIMEDOUT") return most;
  const again = status === "INTERRUPTED" && guarantee === "AT_LEAST_ONCE";
  return again ? Math.max(most, mostInterrupted) : 1;
}
