import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { liveStatuses } from "@howdah/state/statuses";
import type { RunTask } from "./run-task.js";

/** A transition that an event asks for, besides what follows from the requests themselves. */
export interface Want {
  readonly task: RunTask;
  /** The attempt it is about: the task may be in another one by the time it is recorded. */
  readonly attempt: number;
  readonly event:
    | TaskEvent.RELEASED
    | TaskEvent.NEVER_STARTED
    | TaskEvent.DEADLINE_PASSED
    | TaskEvent.GIVEN_UP;
  /** The session it is about; for RELEASED and NEVER_STARTED. */
  readonly sessionEpoch?: bigint;
  /** Why, with GIVEN_UP. */
  readonly reason?: string;
  /** Whether what asked for it still holds. Default: it does. */
  readonly stands?: () => boolean;
}

/** Whether it still makes sense: what it is about has not moved on. */
export function isDue({ task, attempt, event, stands = () => true }: Want): boolean {
  if (task.attempt !== attempt || !stands()) return false;
  if (event === TaskEvent.DEADLINE_PASSED) return liveStatuses.has(task.status);
  return task.status === (event === TaskEvent.GIVEN_UP ? Status.PENDING : Status.QUEUED);
}
