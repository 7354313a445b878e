import { setTimeout as sleep } from "node:timers/promises";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { failedStatuses, openStatuses, type TaskStatus } from "@howdah/state/statuses";
import { NotLeadingError } from "../not-leading.js";
import { Agenda, type Making } from "./agenda.js";
import { CommitWaiters } from "./commit-waiters.js";
import { Deadlines } from "./deadlines.js";
import type { Resolution } from "./decision.js";
import type { DispatcherEvents } from "./dispatcher-link.js";
import type { EngineOptions } from "./engine-options.js";
import { type HostAway, hostsAway, type Waiting, waitsOf } from "./explain-wait.js";
import type { FirstReleases } from "./first-releases.js";
import { FromDispatchers } from "./from-dispatchers.js";
import { type HandOverOptions, handOverCancels, handOverCommands } from "./hand-over.js";
import { MaintenanceGate } from "./maintenance-gate.js";
import { OfflineExpiry } from "./offline-expiry.js";
import { Recorder } from "./recorder.js";
import { RequestRun } from "./request-run.js";
import type { RunContents, Standing } from "./run-contents.js";
import type { RunTask, ToldChange } from "./run-task.js";
import { SetAside } from "./set-aside.js";
import type { Pause } from "./stopping.js";
import { StoreReader } from "./store-reader.js";
import type { Want } from "./wants.js";
import type { Window } from "./window-gate.js";

/**
 * Drives the requests that are not over: decides which task runs next, records it, hands it to the host's dispatcher.
 *
 * Events (committed changes, sessions) change what it knows and name what to look at again; one loop then records what follows, a
 * call at a time, so that what comes while one commits goes with the next. Everything it knows can be read from the store again.
 */
export class Engine {
  /** Takes in what dispatchers tell. */
  readonly told: DispatcherEvents;
  private readonly agenda: Agenda;
  private readonly gate: MaintenanceGate;
  private readonly expiry: OfflineExpiry;
  private readonly handing: HandOverOptions;
  private readonly deadlines: Deadlines;
  private readonly reader: StoreReader;
  private readonly asides: SetAside;
  private readonly recorder: Recorder;
  private readonly waiters = new CommitWaiters<RequestRun>();
  /** All that is unfinished has been taken over. */
  private isComplete = false;
  private readonly stopping = new AbortController();
  private wake: () => void = () => undefined;

  constructor(private readonly options: EngineOptions) {
    const { store, log, enqueue, cancel, reconcileMs = 3_000, maxInFlight = 0 } = options;
    this.gate = new MaintenanceGate({
      ...{ log, read: options.readMaintenance, everyMs: reconcileMs },
      changed: (hostIds) => this.maintenanceChanged(hostIds),
    });
    this.agenda = new Agenda({
      ...{ maxInFlight, gate: this.gate },
      over: (run) => this.ended(run),
      settled: (run) => this.waiters.committed(run),
      rest: (run, forMs) => void this.rest(run, forMs),
      wake: () => this.wake(),
    });
    const { runs, queues } = this.agenda;
    this.handing = { runs, queues, enqueue, cancel };
    this.expiry = new OfflineExpiry({
      ...{ queues, awayMs: options.lostAfterMs ?? 30_000 },
      awayOf: options.awayOf ?? (() => undefined),
      giveUp: (task, reason, stands) => this.want(task, TaskEvent.GIVEN_UP, { reason, stands }),
    });
    this.deadlines = new Deadlines({
      graceMs: options.deadlineGraceMs ?? 60_000,
      resendMs: options.resendMs ?? 30_000,
      connected: (task) => queues.session(task.hostId) !== undefined,
      retryMs: (task) => runs.get(task.requestId)?.retryMs(task) ?? 0,
      expired: (task) => this.want(task, TaskEvent.DEADLINE_PASSED),
      overdue: (task) => this.overdue(task),
      backoffMs: (task) => runs.get(task.requestId)?.backoffMs(task) ?? 0,
      backedOff: (task) => this.backedOff(task),
    });
    this.reader = new StoreReader({
      ...{ store, log, runs, signal: this.stopping.signal, everyMs: reconcileMs },
      found: (contents) => this.add(contents),
      changed: (change) => this.apply(change),
      read: (run) => this.wasRead(run),
      stood: (run) => this.lookAt(run),
    });
    this.asides = new SetAside({
      ...{ log, firstMs: options.setAsideMs ?? 5_000 },
      again: (run) => this.wasRead(run),
    });
    this.recorder = new Recorder({
      ...{ ...options, agenda: this.agenda, handing: this.handing },
      ...{ reader: this.reader, asides: this.asides, waiters: this.waiters },
      changed: (change) => this.apply(change),
    });
    this.told = new FromDispatchers({
      ...{ log, agenda: this.agenda, expiry: this.expiry, handing: this.handing },
      changed: (change) => this.apply(change),
      wake: () => this.wake(),
      superseded: () => this.stop(),
    });
  }

  /** The maintenance windows, by name, are these from now on; until this was called every window is shut. */
  setWindows(windows: ReadonlyMap<string, Window>): void {
    this.agenda.windows.setWindows(windows);
  }

  /** How many requests it drives. */
  get size(): number {
    return this.agenda.runs.size;
  }

  /** Whether it drives this request. */
  drives(requestId: bigint): boolean {
    return this.agenda.runs.has(requestId);
  }

  /**
   * A request is about to be stored that wants these hosts: says what is released with it. Nothing while not all is known that wants
   * them. Its end is to be called after `add`, or when it was not stored.
   */
  make(hostIds: ReadonlySet<bigint>, first: FirstReleases | undefined): Making {
    const making = this.agenda.make(hostIds, this.isComplete ? first : undefined);
    return {
      releases: making.releases,
      end: () => {
        making.end();
        this.wake();
      },
    };
  }

  /** A request was made whose maker does not know all of it: it is looked for soon. `looked` is called when that was done. */
  suspect(looked: () => void = () => undefined): void {
    this.reader.suspect(looked, 0);
  }

  /** Likewise one that may yet be made, as its maker does not know: `looked` is called when it has been looked for and cannot be any more. */
  suspectYet(looked: () => void): void {
    this.reader.suspect(looked, this.options.lateCommitMs ?? 15_000);
  }

  /** The epoch of a host's session; undefined while its agent is away. */
  sessionEpoch(hostId: bigint): bigint | undefined {
    return this.agenda.queues.session(hostId)?.epoch;
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
      this.isComplete = true;
      reconciling = this.reader.keepReading();
      while (!signal.aborted) {
        const batch = this.agenda.collect();
        if (batch.empty) await this.sleepUntilWoken(signal);
        else await this.recorder.record(batch, signal);
      }
    } finally {
      this.stop();
      await reconciling;
    }
  }

  /** Ends the drive, for good. */
  stop(): void {
    this.isComplete = false;
    this.stopping.abort();
    this.deadlines.stop();
    this.asides.stop();
    this.gate.stop();
    this.expiry.stop();
    this.agenda.windows.stop();
    this.waiters.fail(new NotLeadingError("this scheduler does not lead any more", "unknown"));
    this.wake();
  }

  private async sleepUntilWoken(signal: AbortSignal): Promise<void> {
    if (signal.aborted || !this.agenda.empty) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
  }

  private lookAt(run: RequestRun): void {
    this.agenda.lookAt(run);
    this.wake();
  }

  /**
   * Takes in a request: a new one, one to take over, or one that is to run again.
   * @param commands of its tasks that are QUEUED, to be handed over now; default: they are asked for
   */
  add(contents: RunContents, commands: readonly ExecutionCommand[] = []): void {
    const former = this.agenda.runs.get(contents.requestId);
    if (former !== undefined && !former.over) return;
    const run = new RequestRun(contents);
    if (run.over) return;
    if (former !== undefined) this.agenda.forget(former);
    this.agenda.add(run);
    this.gate.add(run);
    this.expiry.add(run, contents);
    for (const task of run.tasksIn(new Set([Status.PENDING])))
      if (task.backingOff) this.deadlines.follow(task);
    const inHand = new Set(commands.map(({ taskId }) => taskId));
    const inherited: RunTask[] = [];
    for (const task of run.tasksIn(openStatuses)) {
      this.deadlines.follow(task);
      // A scheduler that died may have recorded a release or a cancel, and told nobody.
      if (task.status === Status.QUEUED && !inHand.has(task.taskId)) {
        this.want(task, TaskEvent.RELEASED);
      }
      if (!task.cancelRequested) continue;
      inherited.push(task);
      this.deadlines.followCancel(task);
    }
    handOverCommands(this.handing, [{ commands: [...commands] }]);
    handOverCancels(this.handing, inherited);
    this.wake();
  }

  // What people ask. Each resolves once it is committed, from when on it survives this process; does nothing for a request that is not
  // driven; rejects with UNAVAILABLE when the engine stops first, with the signal's reason when that aborts.

  /** Cancels a request. Cancelling again does nothing. */
  async cancelRequest(requestId: bigint, reason: string, signal: AbortSignal): Promise<void> {
    await this.ask(requestId, signal, (run) => run.cancel(reason));
  }

  /** Pauses a request, or lets it go on. `standing`: as the store has it, which may know of a pause that was not seen here. */
  async pauseRequest(
    requestId: bigint,
    { standing, paused, reason }: Pause & { readonly standing: Standing },
    signal: AbortSignal,
  ): Promise<void> {
    await this.ask(requestId, signal, (run) => {
      run.adopt(standing);
      run.pause(paused, reason);
    });
  }

  /**
   * Says what a person said about tasks that are held.
   * @param held the tasks as the store has them
   * @returns how many followed; the others were held no longer, or cannot be retried since their request is stopping
   */
  async resolveTasks(
    requestId: bigint,
    held: readonly ToldChange[],
    event: Resolution,
    signal: AbortSignal,
  ): Promise<number> {
    for (const change of held) this.apply(change);
    await this.ask(requestId, signal, (run) => {
      for (const { taskId } of held) {
        const task = run.task(taskId);
        if (task !== undefined) run.resolve(task, event);
      }
    });
    const run = this.agenda.runs.get(requestId);
    const isHeldStill = ({ taskId, status, attempt }: ToldChange) => {
      const task = run?.task(taskId);
      return task?.status === status && task.attempt === attempt;
    };
    return held.filter((change) => !isHeldStill(change)).length;
  }

  /** What a task waits for; undefined when its request is not driven. `told`: the task as the store has it. */
  waitsOf(told: ToldChange): Waiting[] | undefined {
    this.apply(told);
    this.wake();
    const run = this.agenda.runs.get(told.requestId);
    const task = run?.task(told.taskId);
    return run && task && waitsOf(this.agenda, run, task, this.options.awayOf);
  }

  /** The hosts without a session that have tasks of a request that are not done; undefined when it is not driven. */
  hostsAway(requestId: bigint): HostAway[] | undefined {
    const run = this.agenda.runs.get(requestId);
    return run && hostsAway(this.agenda, run, this.options.awayOf);
  }

  private async ask(
    requestId: bigint,
    signal: AbortSignal,
    say: (run: RequestRun) => unknown,
  ): Promise<void> {
    const run = this.agenda.runs.get(requestId);
    if (run === undefined) return;
    say(run);
    this.asides.takeUp(run);
    this.lookAt(run);
    await this.waiters.wait(run, signal);
  }

  private maintenanceChanged(hostIds: Iterable<bigint>): void {
    for (const hostId of hostIds) this.agenda.lookAtHost(hostId);
    this.expiry.hostsLeft();
    this.wake();
  }

  private want(
    task: RunTask,
    event: TaskEvent.RELEASED | TaskEvent.DEADLINE_PASSED | TaskEvent.GIVEN_UP,
    more: Pick<Want, "reason" | "stands"> = {},
  ): void {
    const { attempt } = task;
    this.agenda.want({ task, attempt, event, ...more });
    this.wake();
  }

  /** A released command that nothing was heard of is sent again when its host could have started it. The agent knows a repeat. */
  private overdue(task: RunTask): void {
    this.deadlines.follow(task);
    const { runs, queues } = this.agenda;
    const run = runs.get(task.requestId);
    const waits = run?.laneOf(task) === "ordered" && queues.isBusy(task.hostId);
    if (!waits) this.want(task, TaskEvent.RELEASED);
  }

  private backedOff(task: RunTask): void {
    this.agenda.runs.get(task.requestId)?.backedOff(task);
    this.agenda.lookAtHost(task.hostId);
    this.wake();
  }

  private async rest(run: RequestRun, forMs: number): Promise<void> {
    const { signal } = this.stopping;
    await sleep(forMs, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return;
    run.rested();
    if (this.agenda.runs.get(run.requestId) === run) this.lookAt(run);
  }

  private apply(change: ToldChange): void {
    const { runs, queues } = this.agenda;
    const run = runs.get(change.requestId);
    if (run === undefined) return;
    run.versions.add(change.version);
    const applied = run.apply({ ...change, status: change.status as TaskStatus });
    if (applied === undefined) return;
    const { task, before, formerAttempt } = applied;
    queues.changed(run, task, before);
    // A deadline counts from the start, whatever else becomes of the task.
    if (task.status !== before || task.attempt !== formerAttempt) {
      task.since = performance.now();
      this.deadlines.follow(task);
    }
    if (task.cancelRequested) this.deadlines.followCancel(task);
    // The store may have paused it with the same commit.
    if (run.options.hasBudget && failedStatuses.has(task.status)) this.reader.look(run);
    this.agenda.lookAt(run);
    this.agenda.lookAtHost(task.hostId);
  }

  private wasRead(run: RequestRun): void {
    if (this.agenda.runs.get(run.requestId) !== run) return;
    this.agenda.unhold();
    this.agenda.lookAtAll(run);
    this.wake();
  }

  private ended(run: RequestRun): void {
    this.reader.forget(run);
    this.gate.remove(run);
    this.expiry.remove(run);
    this.waiters.committed(run);
    this.options.log.info({ request: run.requestId }, "request over");
    this.options.requestOver?.();
  }
}
