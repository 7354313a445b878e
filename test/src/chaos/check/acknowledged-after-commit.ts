import type { JournalEntry } from "./history.js";
import type { Check, Violation } from "./violation.js";

const rule = "3 a result is acknowledged after commit";

/** What the store may say of an attempt that its agent ended so. An interrupted one is a failure that policy may name. */
export const fits: Readonly<Record<string, readonly string[]>> = {
  COMPLETED: ["COMPLETED"],
  FAILED: ["FAILED", "HOLDING_FAILED", "SKIPPED_FAILED"],
  TIMEDOUT: ["TIMEDOUT", "HOLDING_TIMEDOUT", "SKIPPED_FAILED"],
  ABORTED: ["ABORTED"],
  INTERRUPTED: ["FAILED", "HOLDING_FAILED", "SKIPPED_FAILED"],
};

/**
 * Invariant 3: a result is acknowledged to the agent only after commit; the agent keeps it until then, and after.
 *
 * Sees: a result the agent was told is safe that the store does not have, or has otherwise; an end in the store that the agent's
 * journal does not know; a result that was never acknowledged although all was well in the end. Cannot see: an acknowledgement that
 * came before a commit that then held.
 */
export const acknowledgedAfterCommit: Check = (history) => {
  const found: Violation[] = [];
  const current = new Map(history.tasks.map((task) => [task.taskId, task]));
  const former = new Map(
    history.formerAttempts.map((attempt) => [`${attempt.taskId}:${attempt.attempt}`, attempt]),
  );
  const resolved = new Set(
    history.words.filter(({ kind }) => kind === "resolve").map(({ requestId }) => requestId),
  );
  const storedOf = ({ taskId, attempt }: JournalEntry) => {
    const task = current.get(taskId);
    return task?.attempt === attempt ? task : former.get(`${taskId}:${attempt}`);
  };
  const entries = history.journals.flatMap(({ host, entries, wipedAtMs }) =>
    entries.map((entry) => ({ host, entry, wiped: wipedAtMs !== undefined })),
  );
  for (const { host, entry, wiped } of entries) {
    const { taskId, attempt, result } = entry;
    const name = `task ${taskId} attempt ${attempt} on ${host}`;
    const report = (what: string) =>
      found.push({ rule, what: `${name} ${what}`, taskIds: [taskId] });
    const task = current.get(taskId);
    if (task === undefined) {
      report("is in the journal and not in the store");
      continue;
    }
    if (task.host !== host) report(`is ${task.host}'s in the store`);
    if (result === undefined) continue;
    if (!entry.acknowledged && wiped) continue; // nobody is left to acknowledge it to
    if (!entry.acknowledged) {
      report(`ended ${result.status} and was never acknowledged`);
      continue;
    }
    const stored = storedOf(entry);
    // A person may have made another thing of a failure.
    if (stored !== undefined && resolved.has(task.requestId)) continue;
    if (stored === undefined || !fits[result.status]?.includes(stored.status)) {
      report(`was acknowledged as ${result.status} and is ${stored?.status ?? "not"} in the store`);
    } else if (result.started && stored.exitCode !== result.exitCode) {
      report(
        `was acknowledged with exit code ${result.exitCode} and has ${stored.exitCode} in the store`,
      );
    }
  }
  const known = new Set(entries.map(({ entry }) => `${entry.taskId}:${entry.attempt}`));
  for (const { taskId, attempt, status, exitCode } of history.tasks) {
    if (exitCode === undefined || known.has(`${taskId}:${attempt}`)) continue;
    const what = `task ${taskId} attempt ${attempt} is ${status} with exit code ${exitCode} in the store and in no journal`;
    found.push({ rule, what, taskIds: [taskId] });
  }
  return found;
};
