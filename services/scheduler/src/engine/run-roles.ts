import { holdingStatuses, liveStatuses, type TaskStatus } from "@howdah/state/statuses";
import type { RunContents, RunOptions } from "./run-contents.js";
import { outcomeOf, type RunRole } from "./run-role.js";
import type { RunTask } from "./run-task.js";

/** The roles of a request, and what the statuses of their tasks add up to. */
export class RunRoles {
  /** By stage. */
  readonly stages: readonly (readonly RunRole[])[];
  /** Those that cannot succeed any more, or have not. */
  readonly lost = new Set<RunRole>();
  /** How many tasks are released and have not ended. */
  live = 0;
  /** How many tasks wait for a person. */
  held = 0;
  private readonly requestId: bigint;
  private readonly run: number;
  private readonly options: RunOptions;

  constructor({ requestId, run, options, stages }: RunContents) {
    this.requestId = requestId;
    this.run = run;
    this.options = options;
    this.stages = stages.map(({ roles }, stageId) =>
      roles.map((role) => ({ ...role, stageId, counts: {} })),
    );
  }

  /** A task's role. */
  of(task: RunTask): RunRole {
    const role = this.stages[task.stageId]?.[task.roleIndex];
    if (role !== undefined) return role;
    throw new Error(
      `request ${this.requestId}: task ${task.taskId} is of stage ${task.stageId}, role ${task.roleIndex}, which it has not`,
    );
  }

  /** Counts a task in a status, or no longer. */
  count(task: RunTask, status: TaskStatus, by: 1 | -1): void {
    const { counts } = this.of(task);
    counts[status] = (counts[status] ?? 0) + by;
    if (liveStatuses.has(status)) this.live += by;
    if (holdingStatuses.has(status)) this.held += by;
  }

  /** Looks whether a role is lost. */
  look(role: RunRole): void {
    const outcome = outcomeOf(role, this.options.onFailure);
    // In a further run those that failed before and were left out of it say nothing about the rest, until all is done.
    const doomed = outcome === "doomed" && this.run === 1;
    if (doomed || outcome === "failed") this.lost.add(role);
    else this.lost.delete(role);
  }

  /** The pause before the task's attempt; 0 for none. */
  backoffMs(task: RunTask): number {
    const { backoff } = this.of(task);
    if (backoff === undefined || task.attempt < 2) return 0;
    return Math.min(backoff.longestMs, backoff.firstMs * 2 ** (task.attempt - 2));
  }
}
