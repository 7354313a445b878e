import { TaskEvent } from "@howdah/proto/howdah/v1/command_store_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { liveStatuses } from "@howdah/state/statuses";
import type { RunTask } from "./run-task.js";

/** A transition that an event asks for, besides what follows from the requests themselves. */
export interface Want {
  readonly task: RunTask;
  /** The attempt it is about: the task may be in another one by the time it is recorded. */
  readonly attempt: number;
  readonly event: TaskEvent.RELEASED | TaskEvent.NEVER_STARTED | TaskEvent.DEADLINE_PASSED;
  /** The session it is about; not for DEADLINE_PASSED. */
  readonly sessionEpoch?: bigint;
}

/** Whether it still makes sense: what it is about has not moved on. */
export function isDue({ task, attempt, event }: Want): boolean {
  if (task.attempt !== attempt) return false;
  if (event === TaskEvent.DEADLINE_PASSED) return liveStatuses.has(task.status);
  return task.status === Status.QUEUED;
}
