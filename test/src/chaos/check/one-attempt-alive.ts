import { spansOf } from "./spans.js";
import type { Check } from "./violation.js";

/**
 * Invariant 10: at most one attempt of a task is alive at any time.
 *
 * Sees: a script of an attempt that started before the one of an earlier attempt had ended, or although nobody says that it ended;
 * a later attempt that started before an earlier one. Cannot see: what a script left running behind it.
 */
export const oneAttemptAlive: Check = (history) =>
  [...spansOf(history).values()].flatMap((spans) =>
    spans.flatMap((span, i) => {
      const before = spans[i - 1];
      if (before === undefined || (before.toMs ?? Infinity) <= span.fromMs) return [];
      const ended = before.toMs === undefined ? "nobody says when" : `at ${before.toMs}`;
      const what = `task ${span.taskId}: attempt ${span.attempt} started at ${span.fromMs}, attempt ${before.attempt} ended ${ended}`;
      return [{ rule: "10 one attempt alive", what, taskIds: [span.taskId] }];
    }),
  );
