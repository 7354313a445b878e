import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type RoleOutcome, roleOutcome } from "@howdah/state/roll-up";
import { isDone, liveStatuses, openStatuses, type TaskStatus } from "@howdah/state/statuses";
import type { CommittedChange, RunTask } from "./run-task.js";
import { VersionsSeen } from "./versions-seen.js";

/** A role of a stage, with how many of its tasks are in each status. */
interface RunRole {
  readonly name: string;
  readonly successFactor: number;
  readonly counts: Partial<Record<TaskStatus, number>>;
}

interface RunStage {
  readonly roles: readonly RunRole[];
  /** Its tasks in the order of their ids. */
  readonly tasks: RunTask[];
  /** How many of them wait, run or are held. */
  unfinished: number;
}

/** What a request is made of, as planned or as read from the store. */
export interface RunContents {
  readonly requestId: bigint;
  readonly version: bigint;
  readonly onFailure: OnFailure;
  /** A cancel was asked for, or a stage failed: nothing is released any more. */
  readonly stopping: boolean;
  /** Whether everything that may run is to be cancelled too. */
  readonly cancelRequested: boolean;
  /** Why it is stopping; empty otherwise. */
  readonly reason: string;
  /** The stages in order, each with its roles. */
  readonly stages: readonly { roles: readonly { name: string; successFactor: number }[] }[];
  /** In the order of their ids. */
  readonly tasks: readonly RunTask[];
}

/** Marks a request, in the store, as stopping. */
export interface Abort {
  /** Somebody asked for it; else a stage failed. */
  readonly cancelled: boolean;
  readonly reason: string;
}

/** What the scheduler should do about a request, besides releasing tasks. */
export interface Decision {
  /** Tasks that were never released, to be given up. */
  readonly giveUp: readonly RunTask[];
  /** Tasks that may be running, to be cancelled. */
  readonly cancel: readonly RunTask[];
  /** How the request is to be marked, until `marked` says that it is. */
  readonly abort?: Abort;
}

const nothing: Decision = { giveUp: [], cancel: [] };

/** What happened to a task when a change was applied. */
export interface Applied {
  readonly task: RunTask;
  readonly before: TaskStatus;
  readonly formerAttempt: number;
}

/**
 * One request being driven: its tasks, where it stands, and what follows. No I/O, no clock; the cost of a change does not grow with
 * the size of the request.
 */
export class RequestRun {
  readonly requestId: bigint;
  readonly versions: VersionsSeen;
  private readonly stages: readonly RunStage[];
  private readonly tasks = new Map<bigint, RunTask>();
  private readonly onFailure: OnFailure;
  private readonly unfinishedByHost = new Map<bigint, number>();
  /** Tasks of the current stage that wait to be released, per host, in order. */
  private pending = new Map<bigint, RunTask[]>();
  private current = -1;
  private stopping: boolean;
  private cancelling: boolean;
  private cancelAsked: boolean;
  /** What the store does not know yet. */
  private unmarked: Abort | undefined;
  private why: string;
  /** Set when giving up and cancelling have been decided for all that there was: nothing to look through again. */
  private swept = false;

  constructor(contents: RunContents) {
    this.requestId = contents.requestId;
    this.versions = new VersionsSeen(contents.version);
    this.onFailure = contents.onFailure;
    this.stopping = contents.stopping || contents.cancelRequested;
    this.cancelling = contents.cancelRequested;
    this.cancelAsked = contents.cancelRequested;
    this.why = contents.reason;
    this.stages = contents.stages.map(({ roles }) => ({
      roles: roles.map(({ name, successFactor }) => ({ name, successFactor, counts: {} })),
      tasks: [],
      unfinished: 0,
    }));
    for (const task of contents.tasks) this.add(task);
    this.moveOn();
  }

  private add(task: RunTask): void {
    const stage = this.stageOf(task);
    this.tasks.set(task.taskId, task);
    stage.tasks.push(task);
    this.count(task, task.status, 1);
    if (isDone(task.status)) return;
    stage.unfinished += 1;
    this.unfinishedByHost.set(task.hostId, (this.unfinishedByHost.get(task.hostId) ?? 0) + 1);
  }

  private stageOf(task: RunTask): RunStage {
    const stage = this.stages[task.stageId];
    if (stage === undefined) {
      throw new Error(`request ${this.requestId}: task ${task.taskId} is of stage ${task.stageId}`);
    }
    return stage;
  }

  private roleOf(task: RunTask): RunRole {
    const role = this.stageOf(task).roles[task.roleIndex];
    if (role === undefined) {
      throw new Error(
        `request ${this.requestId}: task ${task.taskId} is of role ${task.roleIndex}`,
      );
    }
    return role;
  }

  private count(task: RunTask, status: TaskStatus, by: number): void {
    const { counts } = this.roleOf(task);
    counts[status] = (counts[status] ?? 0) + by;
  }

  /** The hosts on which it has tasks that are not done. */
  unfinishedHosts(): Iterable<bigint> {
    return this.unfinishedByHost.keys();
  }

  /** Whether it has tasks on the host that are not done. */
  isUnfinishedOn(hostId: bigint): boolean {
    return this.unfinishedByHost.has(hostId);
  }

  /** Whether nothing of it waits, runs or is held. */
  get over(): boolean {
    return this.unfinishedByHost.size === 0;
  }

  /** Its tasks in a status, in order. For take-over and tests; looks at every task. */
  *tasksIn(statuses: ReadonlySet<Status>): Iterable<RunTask> {
    for (const task of this.tasks.values()) if (statuses.has(task.status)) yield task;
  }

  /** Its task of this id. */
  task(taskId: bigint): RunTask | undefined {
    return this.tasks.get(taskId);
  }

  /**
   * Takes in a committed change.
   * @returns what changed, or undefined when it was known
   */
  apply(change: CommittedChange): Applied | undefined {
    const task = this.tasks.get(change.taskId);
    if (task === undefined || change.version <= task.version) return undefined;
    const { status: before, attempt: formerAttempt } = task;
    this.count(task, before, -1);
    this.count(task, change.status, 1);
    task.status = change.status;
    task.attempt = change.attempt;
    task.version = change.version;
    task.cancelRequested = change.cancelRequested;
    task.sessionEpoch = change.sessionEpoch;
    this.countUnfinished(task, before);
    if (before === Status.PENDING && task.status !== Status.PENDING) this.unqueue(task);
    if (task.status === Status.PENDING && before !== Status.PENDING) {
      this.swept = false;
      if (task.stageId === this.current) this.queue(task);
    }
    return { task, before, formerAttempt };
  }

  private countUnfinished(task: RunTask, before: TaskStatus): void {
    const change = Number(isDone(before)) - Number(isDone(task.status));
    if (change === 0) return;
    this.stageOf(task).unfinished += change;
    const left = (this.unfinishedByHost.get(task.hostId) ?? 0) + change;
    if (left === 0) this.unfinishedByHost.delete(task.hostId);
    else this.unfinishedByHost.set(task.hostId, left);
  }

  private queue(task: RunTask): void {
    const waiting = this.pending.get(task.hostId);
    if (waiting === undefined) {
      this.pending.set(task.hostId, [task]);
      return;
    }
    // From the back: tasks come in order, save one that is to run again.
    const after = waiting.findLastIndex((other) => other.taskId < task.taskId);
    waiting.splice(after + 1, 0, task);
  }

  private unqueue(task: RunTask): void {
    const waiting = this.pending.get(task.hostId);
    const at = waiting?.indexOf(task) ?? -1;
    if (waiting === undefined || at === -1) return;
    waiting.splice(at, 1);
    if (waiting.length === 0) this.pending.delete(task.hostId);
  }

  /**
   * Finds the stage that is due: the first that is not done, or the first that failed where that ends the request.
   * @returns the hosts on which tasks wait, when another stage has become due
   */
  moveOn(): readonly bigint[] {
    const due = this.stages.findIndex(
      (stage) => stage.unfinished > 0 || (this.failureAborts && hasFailed(stage)),
    );
    if (due === this.current || due === -1) return [];
    this.current = due;
    this.pending = new Map();
    for (const task of this.stages[due]?.tasks ?? []) {
      if (task.status === Status.PENDING) this.queue(task);
    }
    return [...this.pending.keys()];
  }

  private get failureAborts(): boolean {
    return this.onFailure === OnFailure.ABORT || this.onFailure === OnFailure.UNSPECIFIED;
  }

  /** The first of the host's tasks that may be released now, in order; none while the request is stopping. */
  releasable(hostId: bigint, limit = Number.POSITIVE_INFINITY): readonly RunTask[] {
    const found: RunTask[] = [];
    if (this.stopping) return found;
    for (const task of this.pending.get(hostId) ?? []) {
      if (found.length >= limit) break;
      if (!task.asked) found.push(task);
    }
    return found;
  }

  /** Why it is stopping; empty otherwise. */
  get reason(): string {
    return this.why;
  }

  /**
   * Asks for the request to be cancelled. The next decision says what that means.
   * @returns whether it was not asked for before
   */
  cancel(reason: string): boolean {
    if (this.cancelAsked) return false;
    this.cancelAsked = true;
    this.stopping = true;
    this.cancelling = true;
    this.swept = false;
    this.why = reason;
    this.unmarked = { cancelled: true, reason };
    return true;
  }

  /** Notes that the store has this mark. What was decided since then is still to be marked. */
  marked(abort: Abort): void {
    if (this.unmarked === abort) this.unmarked = undefined;
  }

  /** Takes in what the store says about stopping: another scheduler may have marked it after this one had read it. */
  adopt(stored: Pick<RunContents, "stopping" | "cancelRequested" | "reason">): void {
    if (!stored.stopping && !stored.cancelRequested) return;
    this.swept = false;
    this.stopping = true;
    this.cancelling ||= stored.cancelRequested;
    this.cancelAsked ||= stored.cancelRequested;
    this.why ||= stored.reason;
  }

  /** Lets everything be asked for again: what was asked before has been answered, or the store was read anew. */
  answered(tasks: Iterable<RunTask>): void {
    for (const task of tasks) task.asked = false;
    this.swept = false;
  }

  /** Says what should be done now, besides releasing, about at most `limit` tasks. Cheap unless the request is being stopped. */
  decide(limit = Number.POSITIVE_INFINITY): Decision {
    this.judge();
    const abort = this.unmarked && { abort: this.unmarked };
    if (!this.stopping || this.swept) return { ...nothing, ...abort };
    const giveUp: RunTask[] = [];
    const cancel: RunTask[] = [];
    for (const task of this.tasks.values()) {
      if (giveUp.length + cancel.length >= limit) break;
      if (task.asked) continue;
      if (task.status === Status.PENDING) giveUp.push(task);
      else if (this.cancelling && openStatuses.has(task.status) && !task.cancelRequested) {
        cancel.push(task);
      }
    }
    this.swept = giveUp.length === 0 && cancel.length === 0;
    return { giveUp, cancel, ...abort };
  }

  /** Looks whether the current stage has failed. */
  private judge(): void {
    if (!this.failureAborts || this.cancelling) return;
    const stage = this.stages[this.current];
    if (stage === undefined) return;
    const lost = stage.roles.filter((role) => isLost(roleOutcome(role)));
    const [first] = lost;
    if (first === undefined) return;
    if (!this.stopping) {
      this.stopping = true;
      this.swept = false;
      this.why = `stage ${this.current}: ${failureOf(first)}`;
      this.unmarked = { cancelled: false, reason: this.why };
    }
    // As in Ambari, the failed role's other hosts end what they run; once they have, what else runs is cancelled.
    if (lost.every((role) => !hasLive(role))) {
      this.cancelling = true;
      this.swept = false;
    }
  }
}

function hasFailed(stage: RunStage): boolean {
  return stage.roles.some((role) => roleOutcome(role) === "failed");
}

function isLost(outcome: RoleOutcome): boolean {
  return outcome === "doomed" || outcome === "failed";
}

function hasLive(role: RunRole): boolean {
  for (const status of liveStatuses) {
    if ((role.counts[status as TaskStatus] ?? 0) > 0) return true;
  }
  return false;
}

function failureOf(role: RunRole): string {
  const bad = [
    [Status.FAILED, "failed"],
    [Status.TIMEDOUT, "timed out"],
    [Status.UNKNOWN, "is unknown"],
    [Status.ABORTED, "was aborted"],
  ] as const;
  const parts = bad
    .map(([status, words]) => ({ words, hosts: role.counts[status] ?? 0 }))
    .filter(({ hosts }) => hosts > 0)
    .map(({ words, hosts }) => `${words} on ${hosts} ${hosts === 1 ? "host" : "hosts"}`);
  return `${role.name} ${parts.join(", ")}`;
}
