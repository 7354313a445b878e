import { create } from "@bufbuild/protobuf";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type RecordTransitionsRequest,
  RecordTransitionsRequestSchema,
  RequestTransitionsSchema,
  type TaskTransition,
  TaskTransitionSchema,
} from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";
import type { Abort, Pause } from "./stopping.js";

/** How many transitions one call to the store carries at most. */
export const maxTransitions = 1_000;

/** What is asked about one request. */
export interface BatchPart {
  readonly run: RequestRun;
  /** The tasks asked for, and what is asked, in the same order. */
  readonly tasks: RunTask[];
  readonly transitions: TaskTransition[];
  /** How many of the tasks it releases that were not. */
  releases: number;
  abort?: Abort;
  pause?: Pause;
}

/** What the scheduler wants to record with one call. A task is asked for at most once. */
export class Batch {
  private readonly parts = new Map<bigint, BatchPart>();
  private size = 0;
  private released = 0;

  /** How many tasks it releases that were not. */
  get releases(): number {
    return this.released;
  }

  /** Likewise, of one request. */
  releasesOf(run: RequestRun): number {
    return this.parts.get(run.requestId)?.releases ?? 0;
  }

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
      part = { run, tasks: [], transitions: [], releases: 0 };
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
    if (transition.event !== TaskEvent.RELEASED || task.status !== Status.PENDING) return;
    part.releases += 1;
    this.released += 1;
  }

  /** Marks a request as aborted, paused, or going on. */
  mark(run: RequestRun, { abort, pause }: Pick<BatchPart, "abort" | "pause">): void {
    if (abort !== undefined) this.part(run).abort = abort;
    if (pause !== undefined) this.part(run).pause = pause;
  }

  /** The same in two calls, for when one is too large; undefined when it cannot be divided. */
  halves(): readonly [Batch, Batch] | undefined {
    if (this.size < 2) return undefined;
    const halves = [new Batch(), new Batch()] as const;
    const middle = Math.ceil(this.size / 2);
    for (const { run, tasks, transitions, ...marks } of this.entries) {
      halves[0].mark(run, marks);
      for (const [at, transition] of transitions.entries()) {
        const task = tasks[at];
        const half = halves[0].size < middle ? halves[0] : halves[1];
        if (task !== undefined) half.put(run, task, transition);
      }
    }
    return halves;
  }

  /** The same in two calls with a half of the requests each; undefined when it is about one request only. */
  parted(): readonly [Batch, Batch] | undefined {
    const { entries } = this;
    if (entries.length < 2) return undefined;
    const halves = [new Batch(), new Batch()] as const;
    const middle = Math.ceil(entries.length / 2);
    for (const [at, part] of entries.entries()) halves[at < middle ? 0 : 1].take(part);
    return halves;
  }

  private take(part: BatchPart): void {
    this.parts.set(part.run.requestId, part);
    this.size += part.transitions.length;
    this.released += part.releases;
  }

  /** The requests in it, in the order of their ids. */
  get entries(): readonly BatchPart[] {
    return [...this.parts.values()].sort((a, b) => (a.run.requestId < b.run.requestId ? -1 : 1));
  }

  /** The call's message. */
  message(schedulerToken: bigint): RecordTransitionsRequest {
    return create(RecordTransitionsRequestSchema, {
      schedulerToken,
      requests: this.entries.map(({ run, transitions, abort, pause }) =>
        create(RequestTransitionsSchema, {
          requestId: run.requestId,
          transitions,
          ...(abort && { abort }),
          ...(pause && { pause }),
        }),
      ),
    });
  }
}
