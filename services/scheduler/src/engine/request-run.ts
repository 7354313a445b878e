import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { holdingStatuses, isDone, type TaskStatus } from "@howdah/state/statuses";
import type { Applied, Decision, MovedOn, Resolution } from "./decision.js";
import { LaterTasks } from "./later-tasks.js";
import { orderOf } from "./order-of.js";
import { PendingTasks } from "./pending-tasks.js";
import type { ReleaseOrder } from "./release-order.js";
import type { RunContents, RunOptions, Standing } from "./run-contents.js";
import { RunRoles } from "./run-roles.js";
import type { CommittedChange, RunTask } from "./run-task.js";
import { type Abort, type Pause, Stopping } from "./stopping.js";
import { type Lane, UnfinishedHosts } from "./unfinished-hosts.js";
import { VersionsSeen } from "./versions-seen.js";

/**
 * One request being driven: its tasks, where it stands, and what follows. No I/O, no clock; the cost of a change does not grow with
 * the size of the request.
 */
export class RequestRun {
  readonly requestId: bigint;
  readonly options: RunOptions;
  readonly versions: VersionsSeen;
  private readonly roles: RunRoles;
  private readonly order: ReleaseOrder;
  private readonly tasks = new Map<bigint, RunTask>();
  private readonly unfinished = new UnfinishedHosts();
  private readonly pending: Readonly<Record<Lane, PendingTasks>>;
  private readonly manual = new Set<RunTask>();
  /** Without barriers: those that are not due. */
  private readonly later: LaterTasks | undefined;
  private readonly stop: Stopping;
  private readonly resolutions = new Map<RunTask, Resolution>();
  /** Why nothing is asked about it for now; empty otherwise. */
  private aside = "";
  /** Its maintenance window is shut, or not known yet: nothing is released. The window gate sets it. */
  windowShut: boolean;

  constructor(contents: RunContents) {
    const { requestId, version, options } = contents;
    this.requestId = requestId;
    this.options = options;
    this.windowShut = options.window !== "";
    this.versions = new VersionsSeen(version);
    this.stop = new Stopping(contents);
    this.roles = new RunRoles(contents);
    this.order = orderOf(this.roles.stages, options);
    const rankOf = (task: RunTask) => this.order.portionOf(task).rank;
    this.pending = { ordered: new PendingTasks(rankOf), beside: new PendingTasks(rankOf) };
    const rolesBefore = this.order.rolesBefore?.bind(this.order);
    this.later = rolesBefore && new LaterTasks({ rankOf, rolesBefore });
    for (const task of contents.tasks) this.add(task);
    for (const role of this.roles.stages.flat()) this.roles.look(role);
  }

  private add(task: RunTask): void {
    this.tasks.set(task.taskId, task);
    const portion = this.order.portionOf(task);
    portion.tasks.push(task);
    this.roles.count(task, task.status, 1);
    task.backingOff = task.status === Status.PENDING && this.backoffMs(task) > 0;
    if (isDone(task.status)) return;
    this.order.changed(task, 1);
    this.queue(task);
    this.unfinished.count(task.hostId, this.laneOf(task), 1);
  }

  /** The hosts on which it has tasks that are not done. */
  unfinishedHosts(): Iterable<bigint> {
    return this.unfinished.hosts();
  }

  /** How many of its tasks on the host are not done. */
  unfinishedOn(hostId: bigint, lane?: Lane): number {
    return this.unfinished.on(hostId, lane);
  }

  /** How a task shares its host with others. */
  laneOf(task: RunTask): Lane {
    const isBeside = this.options.concurrency === Concurrency.PARALLEL;
    return isBeside || this.roles.of(task).background ? "beside" : "ordered";
  }

  /** Whether nothing of it waits, runs or is held. */
  get over(): boolean {
    return this.unfinished.empty;
  }

  /** How many of its tasks are released and have not ended. */
  get inFlight(): number {
    return this.roles.live;
  }

  /** Whether it waits for a person or its maintenance window, or is set aside: it blocks nobody then. */
  get parked(): boolean {
    return this.paused || this.windowShut || this.roles.held > 0;
  }

  /** Whether nothing of it is released until a person lets it go on, or it is taken up again. */
  get paused(): boolean {
    return this.stop.paused || this.isAside;
  }

  /** Why it is paused; empty otherwise. */
  get pauseReason(): string {
    return this.aside || this.stop.pauseReason;
  }

  /** Whether nothing is asked about it for now. */
  get isAside(): boolean {
    return this.aside !== "";
  }

  /** Has nothing asked about it until it is taken up. */
  setAside(reason: string): void {
    this.aside = reason;
  }

  /** Ends that. */
  takeUp(): void {
    this.aside = "";
  }

  /** Whether nothing of it is released any more. */
  get stopping(): boolean {
    return this.stop.active;
  }

  /** Why it is stopping; empty otherwise. */
  get reason(): string {
    return this.stop.reason;
  }

  /** Its tasks in a status, in order. For take-over and tests; looks at every task. */
  *tasksIn(statuses: ReadonlySet<Status>): Iterable<RunTask> {
    for (const task of this.tasks.values()) if (statuses.has(task.status)) yield task;
  }

  /** Its task of this id. */
  task(taskId: bigint): RunTask | undefined {
    return this.tasks.get(taskId);
  }

  /** For how long the task's agent tries its command again in place. */
  retryMs(task: RunTask): number {
    return this.roles.of(task).retryMs ?? 0;
  }

  /** The pause before the task's attempt; 0 for none. */
  backoffMs(task: RunTask): number {
    return this.roles.backoffMs(task);
  }

  /**
   * Takes in a committed change.
   * @returns what changed, or undefined when it was known
   */
  apply(change: CommittedChange): Applied | undefined {
    const task = this.tasks.get(change.taskId);
    if (task === undefined || change.version <= task.version) return undefined;
    const { status: before, attempt: formerAttempt } = task;
    if (before === Status.PENDING) this.unqueue(task);
    this.roles.count(task, before, -1);
    this.roles.count(task, change.status, 1);
    task.status = change.status;
    task.attempt = change.attempt;
    task.version = change.version;
    task.cancelRequested = change.cancelRequested;
    task.sessionEpoch = change.sessionEpoch;
    this.roles.look(this.roles.of(task));
    this.countUnfinished(task, before);
    if (task.status !== Status.PENDING) task.backingOff = false;
    else {
      this.stop.lookAgain();
      // What a person has run again waits for nothing more.
      const byItself = !this.resolutions.has(task);
      if (task.attempt > formerAttempt && byItself) task.backingOff = this.backoffMs(task) > 0;
      this.queue(task);
    }
    if (!holdingStatuses.has(task.status)) this.resolutions.delete(task);
    return { task, before, formerAttempt };
  }

  private countUnfinished(task: RunTask, before: TaskStatus): void {
    const change = (Number(isDone(before)) - Number(isDone(task.status))) as -1 | 0 | 1;
    this.order.changed(task, change);
    if (change !== 0) this.unfinished.count(task.hostId, this.laneOf(task), change);
  }

  /** Lets a task be released, if it may be. */
  private queue(task: RunTask): void {
    if (task.status !== Status.PENDING || task.backingOff) return;
    const isManual = this.roles.of(task).manual;
    const lane = this.laneOf(task);
    if (!this.order.portionOf(task).open) {
      if (!isManual && lane === "ordered") this.later?.add(task);
      return;
    }
    this.later?.remove(task);
    if (isManual) this.manual.add(task);
    else this.pending[lane].add(task);
  }

  private unqueue(task: RunTask): void {
    this.manual.delete(task);
    this.later?.remove(task);
    this.pending[this.laneOf(task)].remove(task);
  }

  /** The pause before the task's attempt is over. */
  backedOff(task: RunTask): void {
    if (!task.backingOff) return;
    task.backingOff = false;
    this.queue(task);
  }

  /** The pause between two batches is over. */
  rested(): void {
    this.order.rested();
  }

  /**
   * Finds what is due: the next stage, batch or roles. Nothing is before it was called.
   * @param now on the caller's clock, for `dueSince`
   */
  moveOn(now = 0): MovedOn {
    const { opened, closed, restMs } = this.order.moveOn();
    const hosts = new Set<bigint>();
    for (const { tasks, unfinished } of closed) {
      if (unfinished === 0) continue;
      for (const task of tasks) {
        this.unqueue(task);
        this.queue(task);
      }
    }
    for (const portion of opened) {
      portion.since = now;
      for (const task of portion.tasks) {
        this.queue(task);
        if (task.status === Status.PENDING) hosts.add(task.hostId);
      }
    }
    return { hosts, restMs };
  }

  /**
   * The first of the host's tasks that may be released now, in order; none while the request is stopping or paused.
   * @param busy how many commands the host has that have not ended, of those in order
   */
  releasable(
    hostId: bigint,
    limit = Number.POSITIVE_INFINITY,
    lane: Lane = "ordered",
    busy = 0,
  ): readonly RunTask[] {
    if (this.stop.active || this.paused || this.windowShut) return [];
    const first = this.pending[lane].first(hostId, limit);
    if (this.later === undefined || lane === "beside") return first;
    // The less urgent a task is, the less may it be sent ahead.
    const end = first.findIndex((task, at) => this.keepsFree(task, busy + at));
    return end === -1 ? first : first.slice(0, end);
  }

  /** Whether a task that is due waits until its host, which has so many commands to end, is free for a more urgent one. */
  keepsFree(task: RunTask, busy: number): boolean {
    return this.later !== undefined && busy >= this.later.most(task);
  }

  /** Asks for the request to be cancelled. The next decision says what that means. False when it was asked for before. */
  cancel(reason: string): boolean {
    return this.stop.cancel(reason);
  }

  /** Asks for the request to be paused, or to go on. False when it is so already. */
  pause(paused: boolean, reason: string): boolean {
    return this.stop.pause(paused, reason);
  }

  /** The store says that it is paused. False when it is asked to go on meanwhile. */
  halt(): boolean {
    return this.stop.halt();
  }

  /** Notes what a person says about a task that is held, until it is answered. */
  resolve(task: RunTask, event: Resolution): void {
    this.resolutions.set(task, event);
  }

  /** Notes that the store has these marks. What was decided since then is still to be marked. */
  marked({ abort, pause }: { abort?: Abort | undefined; pause?: Pause | undefined }): void {
    if (abort !== undefined && this.stop.unmarkedAbort === abort) {
      this.stop.unmarkedAbort = undefined;
    }
    if (pause !== undefined && this.stop.unmarkedPause === pause) {
      this.stop.unmarkedPause = undefined;
    }
  }

  /** Whether the store has all that was asked for here. */
  get settled(): boolean {
    const { unmarkedAbort, unmarkedPause } = this.stop;
    return (
      unmarkedAbort === undefined && unmarkedPause === undefined && this.resolutions.size === 0
    );
  }

  /** Takes in what the store says about stopping and pausing. */
  adopt(stored: Standing): void {
    this.stop.adopt(stored);
  }

  /** Lets everything be asked for again: what was asked before has been answered, or the store was read anew. */
  answered(tasks: Iterable<RunTask>): void {
    for (const task of tasks) task.asked = false;
    this.stop.lookAgain();
  }

  /** The store has answered about a task: what a person said is recorded, or cannot be any more, if it is that which was asked. */
  resolved(task: RunTask, asked: TaskEvent | undefined): void {
    if (this.resolutions.get(task) === asked) this.resolutions.delete(task);
  }

  /** Says what should be done now, besides releasing to hosts, about at most `limit` tasks. */
  decide(limit = Number.POSITIVE_INFINITY): Decision {
    this.stop.judge(this.roles.lost);
    const { unmarkedAbort: abort, unmarkedPause: pause, active, paused } = this.stop;
    const sweep = this.stop.sweep(this.tasks.values(), limit);
    let room = limit - sweep.giveUp.length - sweep.cancel.length;
    const resolve: { task: RunTask; event: Resolution }[] = [];
    for (const [task, event] of this.resolutions) {
      if (room <= 0) break;
      if (task.asked || sweep.giveUp.includes(task)) continue;
      resolve.push({ task, event });
      room -= 1;
    }
    const due =
      active || paused || this.windowShut ? [] : [...this.manual].filter((task) => !task.asked);
    const hold = due.slice(0, Math.max(0, room));
    return { ...sweep, hold, resolve, ...(abort && { abort }), ...(pause && { pause }) };
  }

  /** What a task that is not due waits for, in words; undefined when it is. */
  waitsFor(task: RunTask): { readonly kind: string; readonly text: string } | undefined {
    return this.order.portionOf(task).open ? undefined : this.order.waitsFor(task);
  }

  /** When the task became due, on the clock of who called `moveOn`; 0 when it is not. */
  dueSince(task: RunTask): number {
    return this.order.portionOf(task).since;
  }

  /** How many of its tasks wait for a person. */
  get heldTasks(): number {
    return this.roles.held;
  }
}
