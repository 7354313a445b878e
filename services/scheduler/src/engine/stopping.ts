import { Status } from "@howdah/proto/howdah/v1/status";
import { roleFailure } from "@howdah/state/failure-text";
import { holdingStatuses, openStatuses } from "@howdah/state/statuses";
import type { Standing } from "./run-contents.js";
import { hasFailures, hasLive, type RunRole } from "./run-role.js";
import type { RunTask } from "./run-task.js";

/** Marks a request, in the store, as stopping. */
export interface Abort {
  /** Somebody asked for it; else a stage failed. */
  readonly cancelled: boolean;
  readonly reason: string;
}

/** Marks a request, in the store, as paused or going on. */
export interface Pause {
  readonly paused: boolean;
  readonly reason: string;
}

/** What stopping asks for. */
export interface Sweep {
  /** Tasks that nothing runs of, to be given up. */
  readonly giveUp: readonly RunTask[];
  /** Tasks that may be running, to be cancelled. */
  readonly cancel: readonly RunTask[];
}

const nothing: Sweep = { giveUp: [], cancel: [] };

/** Whether and why a request is stopping or paused, and what of that the store does not know yet. */
export class Stopping {
  active: boolean;
  paused: boolean;
  reason: string;
  pauseReason: string;
  unmarkedAbort: Abort | undefined;
  unmarkedPause: Pause | undefined;
  private cancelling: boolean;
  private cancelAsked: boolean;
  /** The roles whose failure stops it; known once it was judged. */
  private failing: readonly RunRole[] | undefined;
  /** Giving up and cancelling have been decided for all that there was: nothing to look through again. */
  private swept = false;

  constructor(standing: Standing) {
    this.active = standing.stopping || standing.cancelRequested;
    this.cancelling = standing.cancelRequested;
    this.cancelAsked = standing.cancelRequested;
    this.reason = standing.reason;
    this.paused = standing.paused;
    this.pauseReason = standing.pauseReason;
  }

  /** There may be something to give up or to cancel again. */
  lookAgain(): void {
    this.swept = false;
  }

  /** Asks for a cancel; false when it was asked for before. */
  cancel(reason: string): boolean {
    if (this.cancelAsked) return false;
    this.cancelAsked = true;
    this.active = true;
    this.cancelling = true;
    this.swept = false;
    this.reason = reason;
    this.unmarkedAbort = { cancelled: true, reason };
    return true;
  }

  /** Asks for a pause, or to go on; false when it is so already. */
  pause(paused: boolean, reason: string): boolean {
    if (this.paused === paused) return false;
    this.paused = paused;
    this.pauseReason = paused ? reason : "";
    this.unmarkedPause = { paused, reason };
    return true;
  }

  /** The store says that it is paused, not why. False when it is asked to go on meanwhile. */
  halt(): boolean {
    if (this.unmarkedPause !== undefined) return this.unmarkedPause.paused;
    this.paused = true;
    return true;
  }

  /** Takes in what the store says: another scheduler, or the store itself, may have marked it. */
  adopt(stored: Standing): void {
    if (this.unmarkedPause === undefined) {
      this.paused = stored.paused;
      this.pauseReason = stored.pauseReason;
    }
    if (!stored.stopping && !stored.cancelRequested) return;
    this.swept = false;
    this.active = true;
    this.cancelling ||= stored.cancelRequested;
    this.cancelAsked ||= stored.cancelRequested;
    this.reason ||= stored.reason;
  }

  /** Looks at the roles that cannot succeed any more, or have not. */
  judge(lost: ReadonlySet<RunRole>): void {
    if (lost.size === 0 || this.cancelling) return;
    if (!this.active) {
      const [first] = [...lost].sort((a, b) => a.stageId - b.stageId);
      if (first === undefined) return;
      this.active = true;
      this.swept = false;
      this.reason = roleFailure(first.stageId, first.name, first.counts);
      this.unmarkedAbort = { cancelled: false, reason: this.reason };
      this.failing = [...lost];
    }
    // After a take-over: others are lost too by then, since their tasks were given up.
    this.failing ??= [...lost].filter(hasFailures);
    // As in Ambari, the failed role's other hosts end what they run; once they have, what else runs is cancelled.
    if (this.failing.some(hasLive)) return;
    this.cancelling = true;
    this.swept = false;
  }

  /** Says which tasks are to be given up or cancelled, at most `limit`. Cheap unless the request is stopping. */
  sweep(tasks: Iterable<RunTask>, limit: number): Sweep {
    if (!this.active || this.swept) return nothing;
    const giveUp: RunTask[] = [];
    const cancel: RunTask[] = [];
    for (const task of tasks) {
      if (giveUp.length + cancel.length >= limit) break;
      if (task.asked) continue;
      if (task.status === Status.PENDING || holdingStatuses.has(task.status)) giveUp.push(task);
      else if (this.cancelling && openStatuses.has(task.status) && !task.cancelRequested) {
        cancel.push(task);
      }
    }
    this.swept = giveUp.length === 0 && cancel.length === 0;
    return { giveUp, cancel };
  }
}
