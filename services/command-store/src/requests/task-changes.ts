import { create } from "@bufbuild/protobuf";
import { type TaskChange, TaskChangeSchema } from "@howdah/proto/howdah/v1/task_change";
import type { LockedRequests, RequestRow } from "../store/request-rows.js";
import type { ChangedTask, TaskRow } from "../store/task-rows.js";
import type { StageCounts } from "../store/write-roll-up.js";

/** What a transaction does to tasks and their requests, gathered before it is written. Events of one batch build on each other. */
export interface ChangeSet {
  /** The requests, by id, locked by this transaction. Replaced by how they shall be. All of them are written. */
  readonly requests: Map<number, RequestRow>;
  /** The stages of the requests, as they were when those were locked. */
  readonly stages: readonly StageCounts[];
  /** A request as it was when it was locked. */
  requestBefore(requestId: number): RequestRow | undefined;
  /** The task as it is now, earlier events of the batch included. */
  task(taskId: number): TaskRow | undefined;
  /** Notes what became of a task. */
  change(after: TaskRow, superseded?: TaskRow): void;
  /** The tasks that changed, by id. */
  changed(): ChangedTask[];
  /** Former attempts of tasks that began a new one. */
  readonly superseded: TaskRow[];
}

/** Gathers changes to what is locked, which is its own from then on. */
export function createChangeSet({ requests, stages, tasks }: LockedRequests): ChangeSet {
  const after = new Map<number, TaskRow>();
  const superseded: TaskRow[] = [];
  const before = new Map(requests);
  return {
    requests,
    stages,
    requestBefore: (requestId) => before.get(requestId),
    superseded,
    task: (taskId) => after.get(taskId) ?? tasks.get(taskId),
    change(task, former) {
      const changeVersion = requests.get(task.requestId)?.version ?? task.changeVersion;
      after.set(task.taskId, { ...task, changeVersion });
      if (former !== undefined) superseded.push(former);
    },
    changed() {
      const changes: ChangedTask[] = [];
      for (const task of after.values()) {
        const before = tasks.get(task.taskId);
        if (before !== undefined) changes.push({ before, after: task });
      }
      return changes.sort((a, b) => a.before.taskId - b.before.taskId);
    },
  };
}

/** A task's state, as others are told of it. `correction`: a late word about what was UNKNOWN. */
export function toTaskChange(task: TaskRow, correction = false): TaskChange {
  return create(TaskChangeSchema, {
    taskId: BigInt(task.taskId),
    requestId: BigInt(task.requestId),
    stageId: task.stageId,
    hostId: BigInt(task.hostId),
    status: task.status,
    attempt: task.attempt,
    version: BigInt(task.changeVersion),
    cancelRequested: task.cancelRequested,
    sessionEpoch: BigInt(task.sessionEpoch),
    correction,
  });
}
