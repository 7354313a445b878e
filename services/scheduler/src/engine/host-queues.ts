import { Status } from "@howdah/proto/howdah/v1/status";
import { openStatuses, type TaskStatus } from "@howdah/state/statuses";
import type { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";

/** How many commands that have not started are sent to a host ahead. */
export const aheadPerHost = 4;

/** The session of a host, as its dispatcher tells. */
export interface HostSession {
  /** The dispatcher's lease name. */
  readonly dispatcher: string;
  readonly epoch: bigint;
}

interface HostQueue {
  session: HostSession | undefined;
  /** The requests with tasks on the host that are not done, oldest first. */
  readonly runs: RequestRun[];
  /** Commands released to it that have not started. */
  unstarted: number;
  /** Commands that run. */
  running: number;
  /** Tasks that its agent is to cancel and has not answered about. */
  readonly cancelling: Set<RunTask>;
}

/**
 * Which requests want which hosts, and what each host may be given next. Per host, requests run in order: the tasks of a request wait
 * until the host has done everything of the older ones.
 */
export class HostQueues {
  private readonly hosts = new Map<bigint, HostQueue>();

  private host(hostId: bigint): HostQueue {
    let host = this.hosts.get(hostId);
    if (host === undefined) {
      host = { session: undefined, runs: [], unstarted: 0, running: 0, cancelling: new Set() };
      this.hosts.set(hostId, host);
    }
    return host;
  }

  /** Takes in a request: it queues on each of its hosts behind the older ones. */
  addRun(run: RequestRun): void {
    for (const hostId of run.unfinishedHosts()) this.enlist(run, hostId);
    for (const task of run.tasksIn(openStatuses)) this.count(task, task.status, 1);
  }

  /** Forgets a request that is over. */
  removeRun(run: RequestRun): void {
    for (const task of run.tasksIn(openStatuses)) this.host(task.hostId).cancelling.delete(task);
  }

  private count(task: RunTask, status: TaskStatus, by: 1 | -1): void {
    const host = this.host(task.hostId);
    if (status === Status.QUEUED) host.unstarted += by;
    else if (status === Status.IN_PROGRESS) host.running += by;
    if (task.cancelRequested && openStatuses.has(task.status)) host.cancelling.add(task);
    else host.cancelling.delete(task);
  }

  private enlist(run: RequestRun, hostId: bigint): void {
    const { runs } = this.host(hostId);
    const after = runs.findIndex((other) => other.requestId >= run.requestId);
    if (after === -1) runs.push(run);
    else if (runs[after] !== run) runs.splice(after, 0, run);
  }

  /** Counts a task's change of status, and lets the next request have the host when this one is done with it. */
  changed(run: RequestRun, task: RunTask, before: TaskStatus): void {
    const host = this.host(task.hostId);
    this.count(task, before, -1);
    this.count(task, task.status, 1);
    const at = host.runs.indexOf(run);
    if (run.isUnfinishedOn(task.hostId)) {
      if (at === -1) this.enlist(run, task.hostId);
    } else if (at !== -1) host.runs.splice(at, 1);
  }

  /** The session of a host; undefined while its agent is away. */
  session(hostId: bigint): HostSession | undefined {
    return this.hosts.get(hostId)?.session;
  }

  /**
   * A session opened.
   * @returns false when it is no news: that session, or a newer one, is known
   */
  opened(hostId: bigint, session: HostSession): boolean {
    const host = this.host(hostId);
    if (host.session !== undefined && host.session.epoch >= session.epoch) return false;
    host.session = session;
    return true;
  }

  /** A session ended, unless a newer one has opened. */
  closed(hostId: bigint, epoch: bigint): void {
    const host = this.host(hostId);
    if (host.session?.epoch === epoch) host.session = undefined;
  }

  /** All sessions of a dispatcher are out of reach, save those named. */
  dispatcherHas(dispatcher: string, kept: ReadonlySet<bigint>): void {
    for (const [hostId, host] of this.hosts) {
      if (host.session?.dispatcher === dispatcher && !kept.has(hostId)) host.session = undefined;
    }
  }

  /** Whether a command runs on the host. */
  isBusy(hostId: bigint): boolean {
    return (this.hosts.get(hostId)?.running ?? 0) > 0;
  }

  /** The tasks that the host's agent is to cancel and has not answered about. */
  cancelling(hostId: bigint): Iterable<RunTask> {
    return this.hosts.get(hostId)?.cancelling ?? [];
  }

  /** The tasks that the host may be given now, in order; the caller marks those it takes as asked. */
  next(hostId: bigint): readonly RunTask[] {
    const host = this.hosts.get(hostId);
    const [head] = host?.runs ?? [];
    if (host?.session === undefined || head === undefined) return [];
    const room = aheadPerHost - host.unstarted;
    return room <= 0 ? [] : head.releasable(hostId, room);
  }
}
