import { create } from "@bufbuild/protobuf";
import {
  type RecordTransitionsRequest,
  RecordTransitionsRequestSchema,
  RequestTransitionsSchema,
  type TaskEvent,
  type TaskTransition,
  TaskTransitionSchema,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { Abort, RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";

/** How many transitions one call to the store carries at most. */
export const maxTransitions = 1_000;

/** What is asked about one request. */
export interface BatchPart {
  readonly run: RequestRun;
  /** The tasks asked for, and what is asked, in the same order. */
  readonly tasks: RunTask[];
  readonly transitions: TaskTransition[];
  abort?: Abort;
}

/** What the scheduler wants to record with one call. A task is asked for at most once. */
export class Batch {
  private readonly parts = new Map<bigint, BatchPart>();
  private size = 0;

  /** How many transitions still fit. */
  get room(): number {
    return maxTransitions - this.size;
  }

  /** Whether there is nothing to record. */
  get empty(): boolean {
    return this.parts.size === 0;
  }

  private part(run: RequestRun): BatchPart {
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
    const { taskId, attempt, hostId } = task;
    this.put(run, task, create(TaskTransitionSchema, { taskId, attempt, hostId, event, ...more }));
  }

  private put(run: RequestRun, task: RunTask, transition: TaskTransition): void {
    const part = this.part(run);
    part.tasks.push(task);
    part.transitions.push(transition);
    this.size += 1;
  }

  /** Marks a request as aborted. */
  abort(run: RequestRun, abort: Abort): void {
    this.part(run).abort = abort;
  }

  /** The same in two calls, for when one is too large; undefined when it cannot be divided. */
  halves(): readonly [Batch, Batch] | undefined {
    if (this.size < 2) return undefined;
    const halves = [new Batch(), new Batch()] as const;
    const middle = Math.ceil(this.size / 2);
    for (const { run, tasks, transitions, abort } of this.entries) {
      if (abort !== undefined) halves[0].abort(run, abort);
      for (const [at, transition] of transitions.entries()) {
        const task = tasks[at];
        const half = halves[0].size < middle ? halves[0] : halves[1];
        if (task !== undefined) half.put(run, task, transition);
      }
    }
    return halves;
  }

  /** The requests in it, in the order of their ids. */
  get entries(): readonly BatchPart[] {
    return [...this.parts.values()].sort((a, b) => (a.run.requestId < b.run.requestId ? -1 : 1));
  }

  /** The call's message. */
  message(schedulerToken: bigint): RecordTransitionsRequest {
    return create(RecordTransitionsRequestSchema, {
      schedulerToken,
      requests: this.entries.map(({ run, transitions, abort }) =>
        create(RequestTransitionsSchema, {
          requestId: run.requestId,
          transitions,
          ...(abort && { abort }),
        }),
      ),
    });
  }
}
