// Written down here once more, and not taken from the engine's module, so that an error there is not repeated here.

/** Statuses that nothing but a retry changes. */
export const finalStatuses: ReadonlySet<string> = new Set([
  "COMPLETED",
  "FAILED",
  "TIMEDOUT",
  "ABORTED",
  "SKIPPED_FAILED",
]);

/** Statuses in which a task holds nobody up any more. */
export const doneStatuses: ReadonlySet<string> = new Set([...finalStatuses, "UNKNOWN"]);

/** Statuses in which a task waits for a person. */
export const heldStatuses: ReadonlySet<string> = new Set([
  "HOLDING",
  "HOLDING_FAILED",
  "HOLDING_TIMEDOUT",
]);

/** Statuses that count as a failure against a budget. */
export const failedStatuses: ReadonlySet<string> = new Set([
  "FAILED",
  "TIMEDOUT",
  "SKIPPED_FAILED",
  "UNKNOWN",
  "HOLDING_FAILED",
  "HOLDING_TIMEDOUT",
]);
