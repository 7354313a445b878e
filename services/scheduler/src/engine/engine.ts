import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type CommandStoreService,
  type RequestTransitionsResult,
  type TaskChange,
  TaskEvent,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { Session } from "@howdah/proto/howdah/v1/dispatcher_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { openStatuses, type TaskStatus } from "@howdah/state/statuses";
import type { Logger } from "pino";
import { Batch } from "./batch.js";
import { Deadlines } from "./deadlines.js";
import type { Cancel, DispatcherEvents, ReleasedCommand } from "./dispatcher-link.js";
import { HostQueues } from "./host-queues.js";
import { loadRun } from "./load-run.js";
import { RequestRun, type RunContents } from "./request-run.js";
import type { RunTask } from "./run-task.js";

/** Thrown when a higher token owns a request: this scheduler is no longer the active one. */
export class StaleOwnerError extends Error {}

/** What the engine needs besides the store. */
export interface EngineOptions {
  readonly store: Client<typeof CommandStoreService>;
  /** The token of the scheduler's lease. */
  readonly token: bigint;
  readonly log: Logger;
  /** Hands commands to a dispatcher; returns at once. */
  readonly enqueue: (dispatcher: string, commands: readonly ReleasedCommand[]) => void;
  /** Hands cancels to a dispatcher; returns at once. */
  readonly cancel: (dispatcher: string, cancels: readonly Cancel[]) => void;
  /** How often the store is asked for what a lost hint left behind. Default 3,000. */
  readonly reconcileMs?: number;
  /** Added to a command's time-out before its task is called UNKNOWN. Default 60,000. */
  readonly deadlineGraceMs?: number;
  /** How long a released command may go without a word before it is sent again. Default 30,000. */
  readonly resendMs?: number;
}

const storeRetryMs = 200;

/**
 * Drives the requests that are not over: decides which task runs next, records it, hands it to the host's dispatcher.
 *
 * Events (committed changes, sessions) change what it knows and name what to look at again; one loop then records what follows, a
 * call at a time, so that what comes while one commits goes with the next. Everything it knows can be read from the store again.
 */
export class Engine implements DispatcherEvents {
  private readonly runs = new Map<bigint, RequestRun>();
  private readonly queues = new HostQueues();
  private readonly deadlines: Deadlines;
  private readonly dirtyRuns = new Set<RequestRun>();
  private readonly dirtyHosts = new Set<bigint>();
  /** Transitions that events ask for, besides what the runs decide. */
  private wanted: { run: RequestRun; task: RunTask; event: TaskEvent; sessionEpoch?: bigint }[] =
    [];
  private readonly cancelReasons = new Map<bigint, string>();
  private readonly cancelWaiters = new Map<RequestRun, (() => void)[]>();
  private readonly rereading = new Set<RequestRun>();
  private readonly stopping = new AbortController();
  private wake: () => void = () => undefined;

  constructor(private readonly options: EngineOptions) {
    this.deadlines = new Deadlines({
      graceMs: options.deadlineGraceMs ?? 60_000,
      resendMs: options.resendMs ?? 30_000,
      connected: (task) => this.queues.session(task.hostId) !== undefined,
      expired: (task) => this.want(task, TaskEvent.DEADLINE_PASSED),
      overdue: (task) => this.resend(task),
    });
  }

  /** How many requests it drives. */
  get size(): number {
    return this.runs.size;
  }

  /** Whether it drives this request. */
  drives(requestId: bigint): boolean {
    return this.runs.has(requestId);
  }

  /**
   * Takes over what is unfinished, then drives requests until stopped. Rejects with StaleOwnerError when another scheduler has
   * taken over.
   */
  async drive(): Promise<void> {
    const { signal } = this.stopping;
    const reconciling = this.reconcileNowAndThen(signal);
    try {
      while (!signal.aborted) {
        const batch = this.collect();
        if (batch.empty) await this.sleepUntilWoken(signal);
        else await this.record(batch, signal);
      }
      await reconciling;
    } finally {
      this.stopping.abort();
      this.deadlines.stop();
    }
  }

  /** Ends the drive. */
  stop(): void {
    this.stopping.abort();
    this.wake();
  }

  private async sleepUntilWoken(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.dirtyRuns.size + this.dirtyHosts.size + this.wanted.length > 0)
      return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
  }

  /** Takes in a request: a new one, or one to take over. */
  add(contents: RunContents): void {
    if (this.runs.has(contents.requestId)) return;
    const run = new RequestRun(contents);
    if (run.over) return;
    this.runs.set(run.requestId, run);
    this.queues.addRun(run);
    const inherited: RunTask[] = [];
    for (const task of run.tasksIn(openStatuses)) {
      this.deadlines.follow(task);
      if (task.cancelRequested) inherited.push(task);
    }
    // A scheduler that died may have recorded a cancel and not told the agent.
    this.tellCancels(inherited);
    this.dirtyRuns.add(run);
    for (const hostId of run.unfinishedHosts()) this.dirtyHosts.add(hostId);
    this.wake();
  }

  /**
   * Cancels a request: resolves once the cancel is committed, from when on it survives this process. Cancelling again, or one that is
   * not driven, does nothing.
   */
  async cancelRequest(requestId: bigint, reason: string, signal: AbortSignal): Promise<void> {
    const run = this.runs.get(requestId);
    if (run === undefined) return;
    if (run.cancel(reason)) this.cancelReasons.set(requestId, reason);
    const committed = new Promise<void>((resolve, reject) => {
      const waiters = this.cancelWaiters.get(run) ?? [];
      waiters.push(resolve);
      this.cancelWaiters.set(run, waiters);
      const stop = AbortSignal.any([signal, this.stopping.signal]);
      stop.addEventListener("abort", () => reject(stop.reason), { once: true });
    });
    this.dirtyRuns.add(run);
    this.wake();
    await committed;
  }

  // What dispatchers tell.

  /** @inheritdoc */
  sessions(dispatcher: string, sessions: readonly Session[]): void {
    this.queues.dispatcherHas(dispatcher, new Set(sessions.map((session) => session.hostId)));
    for (const session of sessions) this.opened(dispatcher, session);
  }

  /** @inheritdoc */
  opened(dispatcher: string, session: Session): void {
    this.queues.opened(session.hostId, { dispatcher, epoch: session.sessionEpoch });
    this.dirtyHosts.add(session.hostId);
    this.wake();
  }

  /** @inheritdoc */
  closed(hostId: bigint, epoch: bigint): void {
    this.queues.closed(hostId, epoch);
  }

  /** @inheritdoc */
  changed(changes: readonly TaskChange[]): void {
    for (const change of changes) this.apply(change);
    this.wake();
  }

  /** @inheritdoc */
  undelivered(taskIds: readonly bigint[]): void {
    // Nothing is lost: when the host registers again its dispatcher sends what its journal lacks; when it stays, the resend timer does.
    this.options.log.warn({ tasks: taskIds.length }, "commands not handed over, to be sent again");
  }

  /** @inheritdoc */
  refused(commands: readonly ReleasedCommand[]): void {
    for (const { command, sessionEpoch } of commands) {
      const run = this.runs.get(command.requestId);
      const task = run?.task(command.taskId);
      if (run === undefined || task === undefined) continue;
      this.wanted.push({ run, task, event: TaskEvent.NEVER_STARTED, sessionEpoch });
    }
    this.wake();
  }

  /** @inheritdoc */
  superseded(): void {
    this.options.log.warn("a dispatcher knows a newer scheduler");
  }

  private want(task: RunTask, event: TaskEvent): void {
    const run = this.runs.get(task.requestId);
    if (run === undefined) return;
    this.wanted.push({ run, task, event });
    this.wake();
  }

  /** A released command that nothing was heard of: sent again when its host could have started it. The agent knows a repeat. */
  private resend(task: RunTask): void {
    const session = this.queues.session(task.hostId);
    this.deadlines.follow(task);
    if (session === undefined) return;
    const run = this.runs.get(task.requestId);
    if (run === undefined) return;
    this.wanted.push({ run, task, event: TaskEvent.RELEASED, sessionEpoch: session.epoch });
    this.wake();
  }

  private apply(change: TaskChange): void {
    const run = this.runs.get(change.requestId);
    if (run === undefined) return;
    run.versions.add(change.version);
    const applied = run.apply({ ...change, status: change.status as TaskStatus });
    if (applied === undefined) return;
    const { task, before } = applied;
    this.queues.changed(run, task, before);
    this.deadlines.follow(task);
    this.dirtyRuns.add(run);
    this.dirtyHosts.add(task.hostId);
  }

  /** Looks at everything that changed and gathers what follows, as much as one call carries. */
  private collect(): Batch {
    const batch = new Batch();
    for (const run of this.dirtyRuns) {
      if (batch.room === 0) return batch;
      this.dirtyRuns.delete(run);
      this.collectRun(run, batch);
    }
    const wanted = this.wanted.splice(0, batch.room);
    for (const { run, task, event, sessionEpoch } of wanted) {
      batch.add(run, task, event, sessionEpoch === undefined ? {} : { sessionEpoch });
    }
    for (const hostId of this.dirtyHosts) {
      if (batch.room === 0) return batch;
      this.dirtyHosts.delete(hostId);
      this.collectHost(hostId, batch);
    }
    return batch;
  }

  private collectRun(run: RequestRun, batch: Batch): void {
    if (run.over) {
      this.runs.delete(run.requestId);
      this.cancelCommitted(run);
      this.cancelReasons.delete(run.requestId);
      this.options.log.info({ request: run.requestId }, "request over");
      return;
    }
    for (const hostId of run.moveOn()) this.dirtyHosts.add(hostId);
    const { abortReason, giveUp, cancel } = run.decide();
    const cancelReason = this.cancelReasons.get(run.requestId);
    const reason = cancelReason ?? abortReason ?? "";
    if (abortReason !== undefined) {
      batch.abort(run, { cancelled: cancelReason !== undefined, reason });
    }
    for (const task of giveUp.slice(0, batch.room)) {
      batch.add(run, task, TaskEvent.GIVEN_UP, { reason });
    }
    for (const task of cancel.slice(0, batch.room)) {
      batch.add(run, task, TaskEvent.CANCEL_REQUESTED, { reason });
    }
    if (batch.room === 0) this.dirtyRuns.add(run);
    if (abortReason === undefined) this.cancelCommitted(run);
  }

  private cancelCommitted(run: RequestRun): void {
    for (const resolve of this.cancelWaiters.get(run) ?? []) resolve();
    this.cancelWaiters.delete(run);
  }

  private collectHost(hostId: bigint, batch: Batch): void {
    const session = this.queues.session(hostId);
    if (session === undefined) return;
    for (const task of this.queues.next(hostId).slice(0, batch.room)) {
      const run = this.runs.get(task.requestId);
      if (run !== undefined)
        batch.add(run, task, TaskEvent.RELEASED, { sessionEpoch: session.epoch });
    }
    if (batch.room === 0) this.dirtyHosts.add(hostId);
  }

  /** Records a batch, however long the store is away: a repeat of the call does no harm and brings the same answer. */
  private async record(batch: Batch, signal: AbortSignal): Promise<void> {
    const { entries } = batch;
    const message = batch.message(this.options.token);
    while (!signal.aborted) {
      try {
        const { results } = await this.options.store.recordTransitions(message, { signal });
        entries.forEach(({ run, tasks }, at) => {
          const result = results[at];
          if (result !== undefined) this.recorded(run, tasks, result);
        });
        this.handOver(results);
        return;
      } catch (error) {
        if (error instanceof StaleOwnerError || signal.aborted) throw error;
        const { code, rawMessage } = ConnectError.from(error);
        this.options.log.warn({ code: Code[code] }, `cannot record, will try again: ${rawMessage}`);
        await sleep(storeRetryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private recorded(
    run: RequestRun,
    tasks: readonly RunTask[],
    result: RequestTransitionsResult,
  ): void {
    if (result.staleOwner) {
      throw new StaleOwnerError(`another scheduler owns request ${run.requestId}`);
    }
    run.marked();
    for (const change of result.changes) this.apply(change);
    const answered = new Set<bigint>();
    for (const change of result.changes) answered.add(change.taskId);
    for (const command of result.commands) answered.add(command.taskId);
    run.answered(tasks.filter((task) => answered.has(task.taskId)));
    this.dirtyRuns.add(run);
    this.tellCancels(tasks.filter((task) => task.cancelRequested && openStatuses.has(task.status)));
    // What was skipped is not as it was thought to be: read it anew before asking again.
    if (tasks.some((task) => task.asked)) this.reread(run);
  }

  private handOver(results: readonly RequestTransitionsResult[]): void {
    const perDispatcher = new Map<string, ReleasedCommand[]>();
    for (const { commands } of results) {
      for (const command of commands) {
        const task = this.runs.get(command.requestId)?.task(command.taskId);
        const session = this.queues.session(command.hostId);
        // No session now: the host registers again, and its dispatcher sends it then.
        if (session === undefined || task === undefined) continue;
        const released = { sessionEpoch: task.sessionEpoch, command };
        const list = perDispatcher.get(session.dispatcher);
        if (list === undefined) perDispatcher.set(session.dispatcher, [released]);
        else list.push(released);
      }
    }
    for (const [dispatcher, commands] of perDispatcher) {
      this.options.enqueue(dispatcher, commands);
    }
  }

  private tellCancels(tasks: readonly RunTask[]): void {
    const perDispatcher = new Map<string, Cancel[]>();
    for (const { hostId, taskId, attempt, requestId } of tasks) {
      const dispatcher = this.queues.session(hostId)?.dispatcher;
      if (dispatcher === undefined) continue;
      const reason = this.cancelReasons.get(requestId) ?? "the request was aborted";
      const list = perDispatcher.get(dispatcher) ?? [];
      list.push({ hostId, taskId, attempt, reason });
      perDispatcher.set(dispatcher, list);
    }
    for (const [dispatcher, cancels] of perDispatcher) this.options.cancel(dispatcher, cancels);
  }

  private reread(run: RequestRun): void {
    if (this.rereading.has(run)) return;
    this.rereading.add(run);
    this.readChanges(run)
      .catch((error: unknown) => {
        const { rawMessage } = ConnectError.from(error);
        if (!this.stopping.signal.aborted) {
          this.options.log.warn({ request: run.requestId }, `cannot read changes: ${rawMessage}`);
        }
      })
      .finally(() => {
        this.rereading.delete(run);
        this.wake();
      });
  }

  /** Reads what changed since all was known, and lets everything be asked for again. */
  private async readChanges(run: RequestRun): Promise<void> {
    const { signal } = this.stopping;
    const changedAfterVersion = run.versions.complete;
    let pageToken = "";
    let version: bigint | undefined;
    do {
      const page = await this.options.store.listTasks(
        { requestId: run.requestId, changedAfterVersion, pageToken },
        { signal },
      );
      version ??= page.version;
      for (const task of page.tasks) {
        this.apply({ ...task, version: task.changeVersion, $typeName: "howdah.v1.TaskChange" });
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    if (version !== undefined) run.versions.readUpTo(version);
    run.answered(run.tasksIn(new Set([Status.PENDING, ...openStatuses])));
    this.dirtyRuns.add(run);
    for (const hostId of run.unfinishedHosts()) this.dirtyHosts.add(hostId);
  }

  private async reconcileNowAndThen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.reconcile(signal);
      } catch (error) {
        if (signal.aborted) return;
        const { rawMessage } = ConnectError.from(error);
        this.options.log.warn(`cannot reconcile, will try again: ${rawMessage}`);
      }
      await sleep(this.options.reconcileMs ?? 3_000, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Finds what a lost hint left behind: requests it does not know, changes it has not seen. */
  private async reconcile(signal: AbortSignal): Promise<void> {
    const { requests } = await this.options.store.listUnfinished({}, { signal });
    const listed = new Set<bigint>();
    for (const { requestId, version } of requests) {
      listed.add(requestId);
      const run = this.runs.get(requestId);
      if (run === undefined) this.add(await loadRun(this.options.store, requestId, signal));
      else if (run.versions.complete < version) this.reread(run);
    }
    for (const run of this.runs.values()) if (!listed.has(run.requestId)) this.reread(run);
  }
}
