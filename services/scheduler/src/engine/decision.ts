import type { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { TaskStatus } from "@howdah/state/statuses";
import type { RunTask } from "./run-task.js";
import type { Abort, Pause, Sweep } from "./stopping.js";

/** What a person says about a task that is held. */
export type Resolution =
  | TaskEvent.RESOLVED_RETRY
  | TaskEvent.RESOLVED_SKIP
  | TaskEvent.RESOLVED_ABORT;

/** What the scheduler should do about a request, besides releasing tasks to hosts. */
export interface Decision extends Sweep {
  /** Manual steps that are due. */
  readonly hold: readonly RunTask[];
  /** What people said. */
  readonly resolve: readonly { readonly task: RunTask; readonly event: Resolution }[];
  /** How the request is to be marked, until `marked` says that it is. */
  readonly abort?: Abort;
  /** Likewise. */
  readonly pause?: Pause;
}

/** What happened to a task when a change was applied. */
export interface Applied {
  readonly task: RunTask;
  readonly before: TaskStatus;
  readonly formerAttempt: number;
}

/** What has become due. */
export interface MovedOn {
  /** The hosts on which tasks wait that did not before; without barriers what is most urgent comes first. */
  readonly hosts: Iterable<bigint>;
  /** How long to wait before calling `rested`; 0 for not at all. */
  readonly restMs: number;
}
