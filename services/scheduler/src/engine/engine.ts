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
import { Batch, type BatchPart } from "./batch.js";
import { CommitWaiters } from "./commit-waiters.js";
import { Deadlines } from "./deadlines.js";
import type { DispatcherEvents, ReleasedCommand } from "./dispatcher-link.js";
import { type HandOverOptions, handOverCancels, handOverCommands } from "./hand-over.js";
import { HostQueues } from "./host-queues.js";
import { RequestRun, type RunContents } from "./request-run.js";
import type { RunTask, ToldChange } from "./run-task.js";
import { StoreReader } from "./store-reader.js";
import { isDue, type Want } from "./wants.js";

/** Thrown when a higher token owns a request: this scheduler is no longer the active one. */
export class StaleOwnerError extends Error {
  override readonly name = "StaleOwnerError";
}

/** How the engine paces itself. */
export interface EngineTimes {
  /** How often the store is asked for what a lost hint left behind. Default 3,000. */
  readonly reconcileMs?: number;
  /** Added to a command's time-out before its task is called UNKNOWN. Default 60,000. */
  readonly deadlineGraceMs?: number;
  /** How long a released command may go without a word from an idle host before it is sent again. Default 30,000. */
  readonly resendMs?: number;
}

/** What the engine needs. */
export interface EngineOptions extends EngineTimes, Pick<HandOverOptions, "enqueue" | "cancel"> {
  readonly store: Client<typeof CommandStoreService>;
  /** The token of the scheduler's lease. */
  readonly token: bigint;
  readonly log: Logger;
}

const storeRetryMs = 200;
const maxStoreRetryMs = 2_000;

/**
 * Drives the requests that are not over: decides which task runs next, records it, hands it to the host's dispatcher.
 *
 * Events (committed changes, sessions) change what it knows and name what to look at again; one loop then records what follows, a
 * call at a time, so that what comes while one commits goes with the next. Everything it knows can be read from the store again.
 */
export class Engine implements DispatcherEvents {
  private readonly runs = new Map<bigint, RequestRun>();
  private readonly queues = new HostQueues();
  private readonly handing: HandOverOptions;
  private readonly deadlines: Deadlines;
  private readonly reader: StoreReader;
  private readonly dirtyRuns = new Set<RequestRun>();
  private readonly dirtyHosts = new Set<bigint>();
  private wants: Want[] = [];
  /** Those whose task is being asked about already: looked at again after the answer. */
  private held: Want[] = [];
  private readonly cancels = new CommitWaiters<RequestRun>();
  private readonly stopping = new AbortController();
  private wake: () => void = () => undefined;

  constructor(private readonly options: EngineOptions) {
    const { store, log, enqueue, cancel, reconcileMs = 3_000 } = options;
    this.handing = { runs: this.runs, queues: this.queues, enqueue, cancel };
    this.deadlines = new Deadlines({
      graceMs: options.deadlineGraceMs ?? 60_000,
      resendMs: options.resendMs ?? 30_000,
      connected: (task) => this.queues.session(task.hostId) !== undefined,
      expired: (task) => this.want(task, TaskEvent.DEADLINE_PASSED),
      overdue: (task) => this.overdue(task),
    });
    this.reader = new StoreReader({
      ...{ store, log, runs: this.runs, signal: this.stopping.signal, everyMs: reconcileMs },
      found: (contents) => this.add(contents),
      changed: (change) => this.apply(change),
      read: (run) => this.wasRead(run),
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
   * Takes over what is unfinished, then drives requests until stopped. Nothing is released before everything is taken over, since
   * per host older requests come first. Rejects with StaleOwnerError when another scheduler has taken over.
   */
  async drive(): Promise<void> {
    const { signal } = this.stopping;
    let reconciling: Promise<void> | undefined;
    try {
      await this.reader.takeOver();
      reconciling = this.reader.keepReading();
      while (!signal.aborted) {
        const batch = this.collect();
        if (batch.empty) await this.sleepUntilWoken(signal);
        else await this.record(batch, signal);
      }
    } finally {
      this.stop();
      await reconciling;
    }
  }

  /** Ends the drive, for good. */
  stop(): void {
    this.stopping.abort();
    this.deadlines.stop();
    const why = "this scheduler does not lead any more; try again";
    this.cancels.fail(new ConnectError(why, Code.Unavailable));
    this.wake();
  }

  private async sleepUntilWoken(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.dirtyRuns.size + this.dirtyHosts.size + this.wants.length > 0)
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
      // A scheduler that died may have recorded a release or a cancel, and told nobody.
      if (task.status === Status.QUEUED) this.want(task, TaskEvent.RELEASED);
      if (task.cancelRequested) inherited.push(task);
    }
    handOverCancels(this.handing, inherited);
    this.dirtyRuns.add(run);
    for (const hostId of run.unfinishedHosts()) this.dirtyHosts.add(hostId);
    this.wake();
  }

  /**
   * Cancels a request: resolves once the cancel is committed, from when on it survives this process. Cancelling again, or one that is
   * not driven, does nothing. Rejects with UNAVAILABLE when the engine stops first, with the signal's reason when that aborts.
   */
  async cancelRequest(requestId: bigint, reason: string, signal: AbortSignal): Promise<void> {
    const run = this.runs.get(requestId);
    if (run === undefined) return;
    run.cancel(reason);
    this.dirtyRuns.add(run);
    this.wake();
    await this.cancels.wait(run, signal);
  }

  // What dispatchers tell.

  /** @inheritdoc */
  sessions(dispatcher: string, sessions: readonly Session[]): void {
    this.queues.dispatcherHas(dispatcher, new Set(sessions.map((session) => session.hostId)));
    for (const session of sessions) this.opened(dispatcher, session);
  }

  /** @inheritdoc */
  opened(dispatcher: string, session: Session): void {
    const { hostId, sessionEpoch: epoch } = session;
    if (!this.queues.opened(hostId, { dispatcher, epoch })) return;
    this.dirtyHosts.add(hostId);
    // Some may have been recorded while nobody could tell the agent.
    handOverCancels(this.handing, this.queues.cancelling(hostId));
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
      // Else it would be released to the same session again, and again.
      this.queues.closed(command.hostId, sessionEpoch);
      const task = this.runs.get(command.requestId)?.task(command.taskId);
      if (task === undefined) continue;
      const { attempt } = command;
      this.wants.push({ task, attempt, event: TaskEvent.NEVER_STARTED, sessionEpoch });
    }
    this.wake();
  }

  /** @inheritdoc */
  superseded(): void {
    this.options.log.warn("a dispatcher knows a newer scheduler");
  }

  private want(task: RunTask, event: TaskEvent.RELEASED | TaskEvent.DEADLINE_PASSED): void {
    const { attempt } = task;
    this.wants.push({ task, attempt, event });
    this.wake();
  }

  /** A released command that nothing was heard of is sent again when its host could have started it. The agent knows a repeat. */
  private overdue(task: RunTask): void {
    this.deadlines.follow(task);
    if (!this.queues.isBusy(task.hostId)) this.want(task, TaskEvent.RELEASED);
  }

  private apply(change: ToldChange): void {
    const run = this.runs.get(change.requestId);
    if (run === undefined) return;
    run.versions.add(change.version);
    const applied = run.apply({ ...change, status: change.status as TaskStatus });
    if (applied === undefined) return;
    const { task, before, formerAttempt } = applied;
    this.queues.changed(run, task, before);
    // A deadline counts from the start, whatever else becomes of the task.
    if (task.status !== before || task.attempt !== formerAttempt) this.deadlines.follow(task);
    this.dirtyRuns.add(run);
    this.dirtyHosts.add(task.hostId);
  }

  private wasRead(run: RequestRun): void {
    if (this.runs.get(run.requestId) !== run) return;
    this.wants.push(...this.held.splice(0));
    this.dirtyRuns.add(run);
    for (const hostId of run.unfinishedHosts()) this.dirtyHosts.add(hostId);
    this.wake();
  }

  /** Looks at everything that changed and gathers what follows, as much as one call carries. */
  private collect(): Batch {
    const batch = new Batch();
    for (const want of this.wants.splice(0, batch.room)) this.collectWant(want, batch);
    for (const run of this.dirtyRuns) {
      if (batch.room === 0) return batch;
      this.dirtyRuns.delete(run);
      this.collectRun(run, batch);
    }
    for (const hostId of this.dirtyHosts) {
      if (batch.room === 0) return batch;
      this.dirtyHosts.delete(hostId);
      this.collectHost(hostId, batch);
    }
    return batch;
  }

  private collectWant(want: Want, batch: Batch): void {
    const { task, event } = want;
    const run = this.runs.get(task.requestId);
    if (run?.task(task.taskId) !== task || !isDue(want)) return;
    if (task.asked) {
      this.held.push(want);
      return;
    }
    if (event === TaskEvent.DEADLINE_PASSED) {
      batch.add(run, task, event, { reason: "no word from its agent until the deadline" });
      return;
    }
    const sessionEpoch = want.sessionEpoch ?? this.queues.session(task.hostId)?.epoch;
    // Without a session: the host registers again, and its dispatcher sends what the journal lacks.
    if (sessionEpoch !== undefined) batch.add(run, task, event, { sessionEpoch });
  }

  private collectRun(run: RequestRun, batch: Batch): void {
    if (run.over) {
      this.forget(run);
      return;
    }
    for (const hostId of run.moveOn()) this.dirtyHosts.add(hostId);
    const { abort, giveUp, cancel } = run.decide(batch.room);
    const { reason } = run;
    if (abort !== undefined) batch.abort(run, abort);
    else this.cancels.committed(run);
    for (const task of giveUp) batch.add(run, task, TaskEvent.GIVEN_UP, { reason });
    for (const task of cancel) batch.add(run, task, TaskEvent.CANCEL_REQUESTED, { reason });
    if (batch.room === 0) this.dirtyRuns.add(run);
  }

  private forget(run: RequestRun): void {
    this.runs.delete(run.requestId);
    this.queues.removeRun(run);
    this.reader.forget(run);
    this.cancels.committed(run);
    this.options.log.info({ request: run.requestId }, "request over");
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
    for (let pauseMs = storeRetryMs; !signal.aborted; pauseMs *= 2) {
      let results: RequestTransitionsResult[];
      try {
        ({ results } = await this.options.store.recordTransitions(message, { signal }));
      } catch (error) {
        if (signal.aborted) return;
        const { code, rawMessage } = ConnectError.from(error);
        // The commands in the answer may be more than a message holds, and were committed all the same.
        const halves = code === Code.ResourceExhausted ? batch.halves() : undefined;
        if (halves !== undefined) {
          for (const half of halves) await this.record(half, signal);
          return;
        }
        this.options.log.warn({ code: Code[code] }, `cannot record, will try again: ${rawMessage}`);
        const wait = Math.min(pauseMs, maxStoreRetryMs);
        await sleep(wait, undefined, { signal }).catch(() => undefined);
        continue;
      }
      for (const [at, part] of entries.entries()) this.recorded(part, results[at]);
      handOverCommands(this.handing, results);
      this.wants.push(...this.held.splice(0));
      return;
    }
  }

  private recorded(
    { run, tasks, abort }: BatchPart,
    result: RequestTransitionsResult | undefined,
  ): void {
    if (result?.staleOwner) {
      throw new StaleOwnerError(`another scheduler owns request ${run.requestId}`);
    }
    const { changes = [], commands = [] } = result ?? {};
    if (abort !== undefined && result !== undefined) run.marked(abort);
    for (const change of changes) this.apply(change);
    const answered = new Set<bigint>();
    for (const { taskId } of changes) answered.add(taskId);
    for (const { taskId } of commands) answered.add(taskId);
    run.answered(tasks.filter((task) => answered.has(task.taskId)));
    this.dirtyRuns.add(run);
    handOverCancels(
      this.handing,
      tasks.filter((task) => task.cancelRequested && openStatuses.has(task.status)),
    );
    // What was skipped is not as it was thought to be: it is read anew before it is asked for again.
    if (tasks.some((task) => task.asked)) this.reader.skipped(run);
  }
}
