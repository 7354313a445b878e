import { Status } from "@howdah/proto/howdah/v1/status";
import { liveStatuses, openStatuses, type TaskStatus } from "@howdah/state/statuses";
import { BeingMade } from "./being-made.js";
import { Exclusive } from "./exclusive.js";
import type { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";
import type { Lane } from "./unfinished-hosts.js";

/** How many commands that have not started are sent to a host ahead. */
export const aheadPerHost = 4;
/** With more than so many that have not started a host does not run dry while the next ones are recorded and handed over. */
const enoughAhead = 1;

/** Keeps some requests from releasing to some hosts. */
export interface HostGate {
  /** Whether the request is to wait. */
  keeps(run: RequestRun, hostId: bigint): boolean;
  /** Why the host takes nothing from those that are kept; undefined when it does. */
  reasonOf(hostId: bigint): string | undefined;
}

const lanes: readonly Lane[] = ["ordered", "beside"];

const openGate: HostGate = { keeps: () => false, reasonOf: () => undefined };

/** The session of a host, as its dispatcher tells. */
export interface HostSession {
  /** The dispatcher's lease name. */
  readonly dispatcher: string;
  readonly epoch: bigint;
}

interface HostQueue {
  session: HostSession | undefined;
  /** The requests with tasks on the host that are not done and run in order, oldest first. */
  readonly runs: RequestRun[];
  /** The requests with tasks there that run beside that order; some are in `runs` too. */
  readonly beside: RequestRun[];
  /** Commands released to it that have not started, of those in order. */
  unstarted: number;
  /** Likewise, of those beside. */
  unstartedBeside: number;
  /** Commands that run, of those in order. */
  running: number;
  /** When its session was lost, on this process's monotonic clock; if it never had one, when this queue began. */
  awaySince: number;
  /** Tasks that its agent is to cancel and has not answered about. */
  readonly cancelling: Set<RunTask>;
}

/**
 * Which requests want which hosts, and what each host may be given next. Per host, requests run in order: the tasks of a request wait
 * until the host has done everything of the older ones, save those that wait for a person. PARALLEL ones, and background commands, run beside
 * that order.
 */
export class HostQueues {
  readonly beingMade = new BeingMade();
  readonly exclusive = new Exclusive(this.beingMade);
  private readonly hosts = new Map<bigint, HostQueue>();
  private live = 0;
  /** Of a host that was never heard of: it may have been away since before this process knew of any. */
  private readonly begunAt = performance.now();

  /** @param gate by default it keeps nobody */
  constructor(readonly gate: HostGate = openGate) {}

  /** How many tasks are released and have not ended. */
  get inFlight(): number {
    return this.live;
  }

  private host(hostId: bigint): HostQueue {
    let host = this.hosts.get(hostId);
    if (host === undefined) {
      host = {
        session: undefined,
        ...{ runs: [], beside: [], cancelling: new Set() },
        ...{ unstarted: 0, unstartedBeside: 0, running: 0, awaySince: this.begunAt },
      };
      this.hosts.set(hostId, host);
    }
    return host;
  }

  /** Takes in a request: it queues on each of its hosts behind the older ones. */
  addRun(run: RequestRun): void {
    this.exclusive.add(run);
    for (const hostId of run.unfinishedHosts()) {
      for (const lane of lanes) {
        if (run.unfinishedOn(hostId, lane) > 0) this.enlist(run, hostId, lane);
      }
    }
    for (const task of run.tasksIn(openStatuses)) this.count(run, task, task.status, 1);
  }

  /** Forgets a request that is over. */
  removeRun(run: RequestRun): void {
    this.exclusive.remove(run);
    for (const task of run.tasksIn(openStatuses)) this.host(task.hostId).cancelling.delete(task);
  }

  private count(run: RequestRun, task: RunTask, status: TaskStatus, by: 1 | -1): void {
    const host = this.host(task.hostId);
    const beside = run.laneOf(task) === "beside";
    if (liveStatuses.has(status)) this.live += by;
    if (status === Status.QUEUED) {
      if (beside) host.unstartedBeside += by;
      else host.unstarted += by;
    } else if (status === Status.IN_PROGRESS && !beside) host.running += by;
    if (task.cancelRequested && openStatuses.has(task.status)) host.cancelling.add(task);
    else host.cancelling.delete(task);
  }

  private listOf(hostId: bigint, lane: Lane): RequestRun[] {
    const { runs, beside } = this.host(hostId);
    return lane === "beside" ? beside : runs;
  }

  private enlist(run: RequestRun, hostId: bigint, lane: Lane): void {
    const runs = this.listOf(hostId, lane);
    const after = runs.findIndex((other) => other.requestId >= run.requestId);
    if (after === -1) runs.push(run);
    else if (runs[after] !== run) runs.splice(after, 0, run);
  }

  /** Counts a task's change of status, and lets the next request have the host when this one is done with it. */
  changed(run: RequestRun, task: RunTask, before: TaskStatus): void {
    this.count(run, task, before, -1);
    this.count(run, task, task.status, 1);
    const lane = run.laneOf(task);
    const runs = this.listOf(task.hostId, lane);
    const at = runs.indexOf(run);
    if (run.unfinishedOn(task.hostId, lane) > 0) {
      if (at === -1) this.enlist(run, task.hostId, lane);
    } else if (at !== -1) runs.splice(at, 1);
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
    if (host.session?.epoch === epoch) leave(host);
  }

  /** All sessions of a dispatcher are out of reach, save those named. */
  dispatcherHas(dispatcher: string, kept: ReadonlySet<bigint>): void {
    for (const [hostId, host] of this.hosts) {
      if (host.session?.dispatcher === dispatcher && !kept.has(hostId)) leave(host);
    }
  }

  /** All hosts that some request wants. */
  *wanted(): Iterable<bigint> {
    for (const [hostId, { runs, beside }] of this.hosts) {
      if (runs.length + beside.length > 0) yield hostId;
    }
  }

  /** Whether a command runs on the host that others wait for. */
  isBusy(hostId: bigint): boolean {
    return (this.hosts.get(hostId)?.running ?? 0) > 0;
  }

  /** Whether a host has commands to start in each order in which something waits for it. */
  hasEnough(hostId: bigint): boolean {
    const host = this.hosts.get(hostId);
    if (host === undefined) return true;
    const { runs, beside, unstarted, unstartedBeside } = host;
    return (
      (runs.length === 0 || unstarted > enoughAhead) &&
      (beside.length === 0 || unstartedBeside > enoughAhead)
    );
  }

  /** The tasks that the host's agent is to cancel and has not answered about. */
  cancelling(hostId: bigint): Iterable<RunTask> {
    return this.hosts.get(hostId)?.cancelling ?? [];
  }

  /** The tasks that the host may be given now, in order; the caller marks those it takes as asked. */
  next(hostId: bigint): readonly RunTask[] {
    const host = this.hosts.get(hostId);
    if (host?.session === undefined || this.beingMade.holds(hostId)) return [];
    const found: RunTask[] = [];
    let room = aheadPerHost - host.unstarted;
    const busy = host.unstarted + host.running;
    for (const run of host.runs) {
      if (room <= 0) break;
      if (!this.exclusive.admits(run) || this.gate.keeps(run, hostId)) continue;
      const tasks = run.releasable(hostId, room, "ordered", busy + found.length);
      found.push(...tasks);
      room -= tasks.length;
      // What waits for a person holds nobody up.
      if (!run.parked) break;
    }
    room = aheadPerHost - host.unstartedBeside;
    for (const run of host.beside) {
      if (room <= 0) break;
      if (!this.exclusive.admits(run) || this.gate.keeps(run, hostId)) continue;
      const tasks = run.releasable(hostId, room, "beside");
      found.push(...tasks);
      room -= tasks.length;
    }
    return found;
  }

  /** The tasks of a request that is about to be stored that the host could start at once: none while anybody else wants it. */
  startable(run: RequestRun, hostId: bigint): readonly RunTask[] {
    const host = this.hosts.get(hostId);
    if (host?.session === undefined || this.beingMade.wants(hostId)) return [];
    if (host.runs.length + host.beside.length > 0 || !this.exclusive.leavesFree(run)) return [];
    return [...run.releasable(hostId, 1), ...run.releasable(hostId, aheadPerHost, "beside")];
  }

  /** The oldest request that the task's host does before this one; undefined when it is this one's turn. */
  before(run: RequestRun, task: RunTask): RequestRun | undefined {
    if (run.laneOf(task) === "beside") return undefined;
    const { hostId } = task;
    const older = (this.hosts.get(hostId)?.runs ?? []).find(
      (other) =>
        other === run ||
        (!other.parked && this.exclusive.admits(other) && !this.gate.keeps(other, hostId)),
    );
    return older === run ? undefined : older;
  }

  /** How much a host has to do that was released to it, and since when its agent is away. */
  hostState(hostId: bigint): { unstarted: number; running: number; awaySince: number } | undefined {
    return this.hosts.get(hostId);
  }
}

function leave(host: HostQueue): void {
  host.session = undefined;
  host.awaySince = performance.now();
}
