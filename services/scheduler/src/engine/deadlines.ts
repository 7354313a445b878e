import { Status } from "@howdah/proto/howdah/v1/status";
import { liveStatuses } from "@howdah/state/statuses";
import type { RunTask } from "./run-task.js";

/** How the deadlines of tasks are counted, and what is asked and told when one passes. */
export interface DeadlineOptions {
  /** Added to a command's time-out. */
  readonly graceMs: number;
  /** How long a released command, or a cancel, may go without a word before it is looked after. */
  readonly resendMs: number;
  /** Whether the task's agent is connected: then the word is still due, since it enforces the time-out itself. */
  readonly connected: (task: RunTask) => boolean;
  /** For how long the task's agent tries its command again in place, besides its time-out. */
  readonly retryMs: (task: RunTask) => number;
  /** Called when a running task's time is up without its agent's word. */
  readonly expired: (task: RunTask) => void;
  /** Called when a released task has not started for so long. */
  readonly overdue: (task: RunTask) => void;
  /** The pause before a task's attempt. */
  readonly backoffMs: (task: RunTask) => number;
  /** Called when that is over. */
  readonly backedOff: (task: RunTask) => void;
}

// A command has up to seven steps (three hooks before, the script, three after), each with the full time-out [A 3.4]. Most have one;
// so a host that went silent is waited for one time-out, a connected one, which is at work, for all seven.
const stepsPerCommand = 7;
// What a command gets that states no time-out (CommandSpec.timeout_ms).
const usualTimeoutMs = 900_000;
const longestTimerMs = 2 ** 31 - 1;

/**
 * A timer for each task that an agent owes a word about, or that waits before it is tried again. Node keeps timers of one duration
 * in one list, so that each costs next to nothing. Counted on this process's monotonic clock, anew after a take-over.
 */
export class Deadlines {
  private readonly timers = new Map<bigint, NodeJS.Timeout>();
  private readonly cancels = new Map<bigint, NodeJS.Timeout>();
  private stopped = false;

  constructor(private readonly options: DeadlineOptions) {}

  /** Sets, moves or clears the task's timer by its status. */
  follow(task: RunTask): void {
    this.clear(task);
    if (task.status === Status.IN_PROGRESS) this.watchRunning(task, 1);
    else if (task.status === Status.QUEUED) {
      this.set(task, this.options.resendMs, () => this.options.overdue(task));
    } else if (task.backingOff) {
      this.set(task, this.options.backoffMs(task), () => this.options.backedOff(task));
    }
  }

  private watchRunning(task: RunTask, step: number): void {
    const { graceMs, retryMs } = this.options;
    const retryingMs = step === 1 ? retryMs(task) : 0;
    this.set(task, (task.timeoutMs || usualTimeoutMs) + retryingMs + graceMs, () => {
      const atWork = step < stepsPerCommand && this.options.connected(task);
      if (atWork) this.watchRunning(task, step + 1);
      else this.options.expired(task);
    });
  }

  /**
   * A cancel was asked for. A host that is still away after a while is not waited for up to its deadline: whoever cancelled wants to
   * go on, and what became of the command only its journal can tell.
   */
  followCancel(task: RunTask): void {
    if (this.stopped || this.cancels.has(task.taskId)) return;
    const look = () => {
      this.cancels.delete(task.taskId);
      if (!task.cancelRequested || !liveStatuses.has(task.status)) return;
      if (this.options.connected(task)) this.followCancel(task);
      else this.options.expired(task);
    };
    const timer = setTimeout(look, this.options.resendMs);
    timer.unref();
    this.cancels.set(task.taskId, timer);
  }

  private set(task: RunTask, afterMs: number, call: () => void): void {
    if (this.stopped) return;
    const run = () => {
      this.timers.delete(task.taskId);
      call();
    };
    const timer = setTimeout(run, Math.min(afterMs, longestTimerMs));
    timer.unref();
    this.timers.set(task.taskId, timer);
  }

  private clear(task: RunTask): void {
    const timer = this.timers.get(task.taskId);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.timers.delete(task.taskId);
  }

  /** Clears all timers, and sets no more. */
  stop(): void {
    this.stopped = true;
    for (const timers of [this.timers, this.cancels]) {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    }
  }
}
