import { Status } from "@howdah/proto/howdah/v1/status";
import type { AwayOf } from "./explain-wait.js";
import type { HostQueues } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";
import type { RunContents } from "./run-contents.js";
import type { RunTask } from "./run-task.js";

/** What waiting for hosts has an end by, and what is asked then. */
export interface OfflineExpiryOptions {
  readonly queues: HostQueues;
  /** How long a host that `awayOf` does not know may be without a session before it counts as away: an agent that restarts is not. */
  readonly awayMs: number;
  /**
   * What the host monitor says of a host without a session. It counts as away once it is lost: a failure of our own, such as a dispatcher
   * that cannot be reached, loses nobody.
   */
  readonly awayOf: AwayOf;
  /** Called with a task that is waited for no longer; `stands` says whether that still holds. */
  readonly giveUp: (task: RunTask, reason: string, stands: () => boolean) => void;
}

const longestTimerMs = 2 ** 31 - 1;
/** How soon a host that is not lost yet, although that is due, is looked at again: the store is being told, or cannot be. */
const lookAgainMs = 200;
const pending: ReadonlySet<Status> = new Set([Status.PENDING]);

interface Waiting {
  /** In words. */
  readonly expiry: string;
  readonly hostNames: ReadonlyMap<bigint, string>;
  /** When its hosts have been waited for long enough, on this process's monotonic clock. */
  readonly dueAt: number;
  timer: NodeJS.Timeout | undefined;
}

/** Ends the wait of requests for hosts that are away or in maintenance: a timer each, and another look when a host leaves after that. */
export class OfflineExpiry {
  private readonly runs = new Map<RequestRun, Waiting>();

  constructor(private readonly options: OfflineExpiryOptions) {}

  /** Takes in a request, if its wait has an end. */
  add(run: RequestRun, { ageMs, hostNames }: Pick<RunContents, "ageMs" | "hostNames">): void {
    const { offlineExpiryMs: afterMs } = run.options;
    if (afterMs === undefined) return;
    const now = performance.now();
    const expiry = afterMs % 1_000 === 0 ? `${afterMs / 1_000}s` : `${afterMs}ms`;
    const waiting = { expiry, hostNames, dueAt: now + afterMs - ageMs, timer: undefined };
    this.runs.set(run, waiting);
    this.arm(run, waiting, Math.max(now, waiting.dueAt));
  }

  /** Forgets a request. */
  remove(run: RequestRun): void {
    clearTimeout(this.runs.get(run)?.timer);
    this.runs.delete(run);
  }

  /** Hosts have left, or gone into maintenance: looks again at requests whose wait is over. */
  hostsLeft(): void {
    const now = performance.now();
    for (const [run, waiting] of this.runs) {
      if (waiting.dueAt <= now && waiting.timer === undefined) this.arm(run, waiting, now);
    }
  }

  /** Sets no more timers. */
  stop(): void {
    for (const { timer } of this.runs.values()) clearTimeout(timer);
    this.runs.clear();
  }

  private arm(run: RequestRun, waiting: Waiting, at: number): void {
    clearTimeout(waiting.timer);
    const look = () => {
      waiting.timer = undefined;
      const nextAt = this.look(run, waiting);
      if (nextAt !== undefined) this.arm(run, waiting, nextAt);
    };
    waiting.timer = setTimeout(look, Math.min(longestTimerMs, Math.max(0, at - performance.now())));
    waiting.timer.unref();
  }

  /** Gives up what waits for hosts that are gone. When to look again; undefined for not before something changes. */
  private look(run: RequestRun, { dueAt, expiry, hostNames }: Waiting): number | undefined {
    const now = performance.now();
    if (now < dueAt) return dueAt;
    const { giveUp } = this.options;
    const gone = new Map<bigint, string>();
    let nextAt: number | undefined;
    for (const hostId of run.unfinishedHosts()) {
      const how = this.howGone(hostId);
      if (how === undefined) continue;
      const awayAt = how === "away" ? this.awayAt(hostId, now) : now;
      if (awayAt <= now) gone.set(hostId, how);
      else nextAt = Math.min(nextAt ?? awayAt, awayAt);
    }
    if (gone.size === 0) return nextAt;
    for (const task of run.tasksIn(pending)) {
      const { hostId } = task;
      const how = gone.get(hostId);
      if (how === undefined) continue;
      const name = hostNames.get(hostId) ?? `${hostId}`;
      const reason = `host ${name} was ${how} when options.offline_expiry (${expiry}) ran out`;
      giveUp(task, reason, () => this.howGone(hostId) !== undefined);
    }
    return nextAt;
  }

  /** How a host is that is waited for; undefined when it is not. */
  private howGone(hostId: bigint): string | undefined {
    const { queues } = this.options;
    const reason = queues.gate.reasonOf(hostId);
    if (reason !== undefined) return `in maintenance${reason === "" ? "" : ` (${reason})`}`;
    return queues.session(hostId) === undefined ? "away" : undefined;
  }

  /** When a host without a session counts as away, as far as that can be told now. */
  private awayAt(hostId: bigint, now: number): number {
    const { awayOf, awayMs, queues } = this.options;
    const away = awayOf(hostId);
    if (away?.lost) return now;
    if (away !== undefined && Number.isFinite(away.dueAt)) {
      return Math.max(away.dueAt, now + lookAgainMs);
    }
    return (queues.hostState(hostId)?.awaySince ?? 0) + awayMs;
  }
}
