import type { RunTask } from "./run-task.js";

/** Tasks that are released together: those of a batch of a stage, or of a role. */
export interface Portion {
  readonly tasks: RunTask[];
  /** How many of them wait, run or are held. */
  unfinished: number;
  /** Whether its tasks may be released. */
  open: boolean;
  /** When it was opened, on the caller's clock; 0 before. */
  since: number;
  /** Of two tasks on a host the one whose portion has the higher rank is released first. */
  readonly rank: number;
}

/** What has become due, or is so no longer. */
export interface Turn {
  readonly opened: readonly Portion[];
  readonly closed: readonly Portion[];
  /** A pause has begun, to be ended with `rested`: how long; 0 otherwise. */
  readonly restMs: number;
}

/** Nothing has. */
export const noTurn: Turn = { opened: [], closed: [], restMs: 0 };

/** In which order a request's portions are released. */
export interface ReleaseOrder {
  /** Where a task belongs. */
  portionOf(task: RunTask): Portion;
  /** A task changed, and with it how many of its portion are unfinished; its role's counts are as they are now. */
  changed(task: RunTask, unfinished: -1 | 0 | 1): void;
  /** Finds what is due now. */
  moveOn(): Turn;
  /** The pause is over. */
  rested(): void;
  /** How many roles must still be done, one after the other, before a task is due. Absent with barriers: what comes later is not more urgent there. */
  rolesBefore?(task: RunTask): number;
  /** What a task that is not due waits for, in words. */
  waitsFor(task: RunTask): { readonly kind: "STAGE" | "BATCH" | "BLOCKER"; readonly text: string };
}
