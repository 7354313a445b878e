import type { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";

/** A task as the scheduler keeps it: what it needs to decide, and no more, since there may be a million. */
export interface RunTask {
  readonly taskId: bigint;
  readonly requestId: bigint;
  readonly stageId: number;
  /** The task's place in its stage's roles. */
  readonly roleIndex: number;
  readonly hostId: bigint;
  /** In rolling requests: its batch in its stage, from 0. */
  readonly batch: number;
  /** How long each of its steps may run. */
  readonly timeoutMs: number;
  status: TaskStatus;
  /** From 1. */
  attempt: number;
  /** The request's version when it last changed. */
  version: bigint;
  cancelRequested: boolean;
  /** The epoch of the session it was last released to; 0 before. */
  sessionEpoch: bigint;
  /** A transition of it is on its way to the store: nothing else is asked for until the answer. */
  asked: boolean;
  /** It waits for the pause before its attempt. */
  backingOff: boolean;
  /** When it last changed as far as this scheduler knows, on its monotonic clock. */
  since: number;
}

/** A change of a task, as committed. */
export interface CommittedChange {
  readonly taskId: bigint;
  readonly requestId: bigint;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly version: bigint;
  readonly cancelRequested: boolean;
  readonly sessionEpoch: bigint;
}

/** A committed change as dispatchers and the store tell it. */
export type ToldChange = Omit<CommittedChange, "status"> & { readonly status: Status };
