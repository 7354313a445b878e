import type { RunTask } from "./run-task.js";

/** Tasks of a request that wait to be released, per host: higher rank first, then in the order of their ids. */
export class PendingTasks {
  private readonly hosts = new Map<bigint, RunTask[]>();

  constructor(private readonly rankOf: (task: RunTask) => number) {}

  /** Adds a task at its place. */
  add(task: RunTask): void {
    const waiting = this.hosts.get(task.hostId);
    if (waiting === undefined) {
      this.hosts.set(task.hostId, [task]);
      return;
    }
    // From the back: tasks come in order, save one that is to run again.
    const after = waiting.findLastIndex((other) => this.isBefore(other, task));
    waiting.splice(after + 1, 0, task);
  }

  private isBefore(a: RunTask, b: RunTask): boolean {
    const ahead = this.rankOf(a) - this.rankOf(b);
    return ahead > 0 || (ahead === 0 && a.taskId < b.taskId);
  }

  /** Takes a task out, if it is here. */
  remove(task: RunTask): void {
    const waiting = this.hosts.get(task.hostId);
    const at = waiting?.indexOf(task) ?? -1;
    if (waiting === undefined || at === -1) return;
    waiting.splice(at, 1);
    if (waiting.length === 0) this.hosts.delete(task.hostId);
  }

  /** All of a host's tasks, in order. */
  of(hostId: bigint): readonly RunTask[] {
    return this.hosts.get(hostId) ?? [];
  }

  /** The first of a host's tasks that are not asked for already. */
  first(hostId: bigint, limit: number): readonly RunTask[] {
    const found: RunTask[] = [];
    for (const task of this.hosts.get(hostId) ?? []) {
      if (found.length >= limit) break;
      if (!task.asked) found.push(task);
    }
    return found;
  }
}
