import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Task } from "@howdah/proto/howdah/v1/request";
import type { Job, RoleOrder } from "./list-schedule.js";

/** A task that ran, and how it is seen by a schedule. */
export interface Ran {
  readonly task: Task;
  readonly job: Job;
}

/** What passes between the last end of a role's blockers and its own starts; clocks of the same machine, whole milliseconds. */
export interface Hop {
  /** From the last end to the role's first start. */
  readonly gapMs: number;
  /** Of it: until the end is committed. */
  readonly reportMs: number;
  /** Of it: from there until the first task of the role is QUEUED, by what the store noted. */
  readonly decideMs: number;
  /** Of it: from there until the first command is in its agent's journal. */
  readonly deliverMs: number;
  /** How much later than the first command the last one is in its agent's journal: a role on many hosts. */
  readonly spreadMs: number;
}

/** When a task started and ended, by its agent's clock. */
export function timesOf({ taskId, times }: Task): { startMs: number; endMs: number } {
  if (times?.startedAt === undefined || times.endedAt === undefined) {
    throw new Error(`task ${taskId} has no times`);
  }
  return { startMs: timestampMs(times.startedAt), endMs: timestampMs(times.endedAt) };
}

/** The hops of a request without barriers, one for each role that has blockers. */
export function hopsOf(ran: readonly Ran[], order: RoleOrder): Hop[] {
  const roles: Task[][] = order.map(() => []);
  for (const { task, job } of ran) roles[job.role]?.push(task);
  return order.flatMap((blockers, role) => {
    const tasks = roles[role] ?? [];
    const last = blockers
      .flatMap((at) => roles[at] ?? [])
      .reduce<Task | undefined>(
        (a, b) => (a === undefined || timesOf(b).endMs > timesOf(a).endMs ? b : a),
        undefined,
      );
    if (last === undefined || tasks.length === 0) return [];
    const { endMs } = timesOf(last);
    const queuedMs = least(tasks.map((task) => Number(task.queuedAtMs)));
    const receivedMs = tasks.map((task) => Number(task.receivedAtMs));
    return [
      {
        gapMs: least(tasks.map((task) => timesOf(task).startMs)) - endMs,
        reportMs: Number(last.reportedAtMs) - endMs,
        decideMs: queuedMs - Number(last.reportedAtMs),
        deliverMs: least(receivedMs) - queuedMs,
        spreadMs: Math.max(...receivedMs) - least(receivedMs),
      },
    ];
  });
}

function least(values: readonly number[]): number {
  return Math.min(...values);
}
