import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskStatus } from "@howdah/state/statuses";
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
      host = { session: undefined, runs: [], unstarted: 0 };
      this.hosts.set(hostId, host);
    }
    return host;
  }

  /** Takes in a request: it queues on each of its hosts behind the older ones. */
  addRun(run: RequestRun): void {
    for (const hostId of run.unfinishedHosts()) this.enlist(run, hostId);
    for (const task of run.tasksIn(new Set([Status.QUEUED]))) this.host(task.hostId).unstarted += 1;
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
    if (before === Status.QUEUED) host.unstarted -= 1;
    if (task.status === Status.QUEUED) host.unstarted += 1;
    const at = host.runs.indexOf(run);
    if (run.isUnfinishedOn(task.hostId)) {
      if (at === -1) this.enlist(run, task.hostId);
    } else if (at !== -1) host.runs.splice(at, 1);
  }

  /** The session of a host; undefined while its agent is away. */
  session(hostId: bigint): HostSession | undefined {
    return this.hosts.get(hostId)?.session;
  }

  /** A session opened; an older one than the known is no news. */
  opened(hostId: bigint, session: HostSession): void {
    const host = this.host(hostId);
    if (host.session === undefined || host.session.epoch < session.epoch) host.session = session;
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

  /** The hosts that have work and a session. */
  *ready(): Iterable<bigint> {
    for (const [hostId, host] of this.hosts) {
      if (host.session !== undefined && host.runs.length > 0) yield hostId;
    }
  }

  /** The tasks that the host may be given now, in order; the caller marks those it takes as asked. */
  next(hostId: bigint): readonly RunTask[] {
    const host = this.hosts.get(hostId);
    const [head] = host?.runs ?? [];
    if (host?.session === undefined || head === undefined) return [];
    const room = aheadPerHost - host.unstarted;
    return room <= 0 ? [] : head.releasable(hostId).slice(0, room);
  }
}
