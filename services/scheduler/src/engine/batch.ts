import { create } from "@bufbuild/protobuf";
import {
  type RecordTransitionsRequest,
  RecordTransitionsRequestSchema,
  RequestTransitionsSchema,
  type TaskEvent,
  type TaskTransition,
  TaskTransitionSchema,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";

/** How many transitions one call to the store carries at most. */
export const maxTransitions = 1_000;

interface Part {
  readonly run: RequestRun;
  readonly tasks: RunTask[];
  readonly transitions: TaskTransition[];
  abort?: { cancelled: boolean; reason: string };
}

/** What the scheduler wants to record with one call. A task is asked for at most once. */
export class Batch {
  private readonly parts = new Map<bigint, Part>();
  private size = 0;

  /** How many transitions still fit. */
  get room(): number {
    return maxTransitions - this.size;
  }

  /** Whether there is nothing to record. */
  get empty(): boolean {
    return this.parts.size === 0;
  }

  private part(run: RequestRun): Part {
    let part = this.parts.get(run.requestId);
    if (part === undefined) {
      part = { run, tasks: [], transitions: [] };
      this.parts.set(run.requestId, part);
    }
    return part;
  }

  /** Adds a transition of a task, and marks the task as asked. */
  add(
    run: RequestRun,
    task: RunTask,
    event: TaskEvent,
    more: { sessionEpoch?: bigint; reason?: string } = {},
  ): void {
    if (task.asked) return;
    task.asked = true;
    const part = this.part(run);
    part.tasks.push(task);
    part.transitions.push(
      create(TaskTransitionSchema, {
        taskId: task.taskId,
        attempt: task.attempt,
        hostId: task.hostId,
        event,
        ...more,
      }),
    );
    this.size += 1;
  }

  /** Marks a request as aborted. */
  abort(run: RequestRun, abort: { cancelled: boolean; reason: string }): void {
    this.part(run).abort = abort;
  }

  /** The requests in it, in the order of their ids, with the tasks asked for. */
  get entries(): readonly { readonly run: RequestRun; readonly tasks: readonly RunTask[] }[] {
    return this.inOrder();
  }

  private inOrder(): Part[] {
    return [...this.parts.values()].sort((a, b) => (a.run.requestId < b.run.requestId ? -1 : 1));
  }

  /** The call's message. */
  message(schedulerToken: bigint): RecordTransitionsRequest {
    return create(RecordTransitionsRequestSchema, {
      schedulerToken,
      requests: this.inOrder().map(({ run, transitions, abort }) =>
        create(RequestTransitionsSchema, {
          requestId: run.requestId,
          transitions,
          ...(abort && { abort }),
        }),
      ),
    });
  }
}
