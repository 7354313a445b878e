import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { liveStatuses } from "@howdah/state/statuses";
import { Batch } from "./batch.js";
import { type FirstReleases, firstReleases } from "./first-releases.js";
import { type HostGate, HostQueues } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";
import { Turns } from "./turns.js";
import { isDue, type Want } from "./wants.js";
import { WindowGate } from "./window-gate.js";

/** What the agenda needs, and what it tells. */
export interface AgendaOptions {
  /** Keeps requests from hosts; none by default. */
  readonly gate?: HostGate;
  /** How many tasks may be released and not ended at a time, in the whole installation; 0 for no limit. */
  readonly maxInFlight: number;
  /** Called with a request that is over; it is not driven any more. */
  readonly over: (run: RequestRun) => void;
  /** Called when the store has all that was asked for about a request. */
  readonly settled: (run: RequestRun) => void;
  /** Called when a pause between batches has begun; `rested` of the request ends it. */
  readonly rest: (run: RequestRun, forMs: number) => void;
  /** Called when something is to be looked at although nothing was told: a maintenance window has opened or shut. */
  readonly wake: () => void;
}

/** A request that is being stored. */
export interface Making {
  /** What is released with it, what is most urgent first: the place of each task among the request's, and its host's session. */
  readonly releases: readonly { readonly task: number; readonly sessionEpoch: bigint }[];
  /** To be called when it is driven, or will not be: its hosts are free for others. Calling it again does nothing. */
  end(): void;
}

/** Why a task is ABORTED that was held, when a person said so. */
const givenUp = "given up by a person (resolve --abort)";

/** The requests that are driven, what is to be looked at again, and what follows from it. */
export class Agenda {
  readonly runs = new Map<bigint, RequestRun>();
  readonly queues: HostQueues;
  readonly turns = new Turns();
  readonly windows = new WindowGate((run) => {
    this.lookAt(run);
    this.options.wake();
  });
  private readonly runsToLookAt = new Set<RequestRun>();
  private readonly hostsToLookAt = new Set<bigint>();
  /**
   * Those of them that have enough to start: looked at when there is nothing else to record. So nobody waits when there is room, and
   * under load a host is sent several commands at once, which cost it and its dispatcher one packet instead of several.
   */
  private readonly hostsWithEnough = new Set<bigint>();
  private wants: Want[] = [];
  /** Those whose task is being asked about already, or whose request is set aside: looked at again after the answer. */
  private held: Want[] = [];
  /** The requests that waited for a person when they were looked at, and since when. */
  private readonly parked = new Map<RequestRun, number>();

  constructor(private readonly options: AgendaOptions) {
    this.queues = new HostQueues(options.gate);
  }

  /** Whether there is nothing to look at. */
  get empty(): boolean {
    const hosts = this.hostsToLookAt.size + this.hostsWithEnough.size;
    return this.runsToLookAt.size + hosts + this.wants.length === 0;
  }

  /** Something of the request changed. */
  lookAt(run: RequestRun): void {
    this.runsToLookAt.add(run);
  }

  /** Something of the host changed. */
  lookAtHost(hostId: bigint): void {
    this.hostsToLookAt.add(hostId);
  }

  /** Something of the request changed that may matter to each of its hosts. */
  lookAtAll(run: RequestRun): void {
    this.runsToLookAt.add(run);
    for (const hostId of run.unfinishedHosts()) this.hostsToLookAt.add(hostId);
  }

  /** An event asks for a transition. */
  want(want: Want): void {
    this.wants.push(want);
  }

  /** What was being asked about has been answered. */
  unhold(): void {
    this.wants.push(...this.held.splice(0));
  }

  /** A request is about to be stored that wants these hosts. `first`: what of it may be released with that; undefined for nothing. */
  make(hostIds: ReadonlySet<bigint>, first: FirstReleases | undefined): Making {
    const { queues } = this;
    const isCapped = this.options.maxInFlight > 0;
    const tasks = first === undefined || isCapped ? [] : firstReleases(queues, first);
    const held = new Set(tasks.map(({ hostId }) => hostId));
    const end = queues.beingMade.begin(hostIds, held, () => {
      for (const hostId of held) this.lookAtHost(hostId);
    });
    return {
      releases: tasks.map(({ taskId, hostId }) => ({
        task: Number(taskId),
        sessionEpoch: queues.session(hostId)?.epoch ?? 0n,
      })),
      end,
    };
  }

  /** Drives a request. */
  add(run: RequestRun): void {
    this.runs.set(run.requestId, run);
    this.queues.addRun(run);
    for (const { hostId } of run.tasksIn(liveStatuses)) this.queues.beingMade.driven(hostId);
    this.windows.add(run);
    this.lookAt(run);
    this.moveOn(run);
  }

  /** Drives a request no more. */
  forget(run: RequestRun): void {
    this.runs.delete(run.requestId);
    this.queues.removeRun(run);
    this.turns.forget(run);
    this.windows.remove(run);
    this.parked.delete(run);
    this.runsToLookAt.delete(run);
    this.options.over(run);
  }

  /** Since when a request waits for a person; undefined when it does not. */
  parkedSince(run: RequestRun): number | undefined {
    return this.parked.get(run);
  }

  /** The caps that keep a request from releasing more now, in words. */
  capsReached(run: RequestRun): string[] {
    const { inFlight, options } = run;
    const reached = (count: number, most: number) => most > 0 && count >= most;
    return [
      ...(reached(inFlight, options.maxInFlight)
        ? [`${inFlight} of its request's tasks are released, as many as it allows at a time`]
        : []),
      ...(reached(this.queues.inFlight, this.options.maxInFlight)
        ? [
            `${this.queues.inFlight} tasks of all requests are released, as many as the scheduler allows`,
          ]
        : []),
    ];
  }

  /** Looks at everything that changed and gathers what follows, as much as one call carries. */
  collect(): Batch {
    const batch = new Batch();
    for (const want of this.wants.splice(0, batch.room)) this.collectWant(want, batch);
    for (const run of this.runsToLookAt) {
      if (batch.room === 0) return batch;
      this.runsToLookAt.delete(run);
      this.collectRun(run, batch);
    }
    if (this.queues.exclusive.look()) {
      for (const hostId of this.queues.wanted()) this.hostsToLookAt.add(hostId);
    }
    for (const hostId of this.hostsToLookAt) {
      if (batch.room === 0) return batch;
      this.hostsToLookAt.delete(hostId);
      if (this.queues.hasEnough(hostId)) this.hostsWithEnough.add(hostId);
      else this.collectHost(hostId, batch);
    }
    this.takeTurns(batch);
    if (batch.empty) this.collectMore(batch);
    return batch;
  }

  /** Gives hosts more that have enough to start. */
  private collectMore(batch: Batch): void {
    for (const hostId of this.hostsWithEnough) {
      if (batch.room === 0) return;
      this.collectHost(hostId, batch);
    }
    this.takeTurns(batch);
  }

  private collectWant(want: Want, batch: Batch): void {
    const { task, event, reason = "no word from its agent until the deadline" } = want;
    const run = this.runs.get(task.requestId);
    if (run?.task(task.taskId) !== task || !isDue(want)) return;
    if (task.asked || run.isAside) {
      this.held.push(want);
      return;
    }
    if (event === TaskEvent.DEADLINE_PASSED || event === TaskEvent.GIVEN_UP) {
      batch.add(run, task, event, { reason });
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
    this.moveOn(run);
    this.noteParked(run);
    if (run.settled) this.options.settled(run);
    if (run.isAside) return;
    const { giveUp, cancel, hold, resolve, ...marks } = run.decide(batch.room);
    const { reason } = run;
    batch.mark(run, marks);
    for (const task of giveUp) {
      const isPending = task.status === Status.PENDING;
      const event = isPending ? TaskEvent.GIVEN_UP : TaskEvent.RESOLVED_ABORT;
      batch.add(run, task, event, { reason });
    }
    for (const task of cancel) batch.add(run, task, TaskEvent.CANCEL_REQUESTED, { reason });
    for (const { task, event } of resolve) {
      batch.add(run, task, event, event === TaskEvent.RESOLVED_ABORT ? { reason: givenUp } : {});
    }
    for (const task of hold) batch.add(run, task, TaskEvent.RELEASED);
    if (batch.room === 0) this.runsToLookAt.add(run);
  }

  /** Has the hosts looked at on which something of the request is due that was not before. */
  private moveOn(run: RequestRun): void {
    const { hosts, restMs } = run.moveOn(performance.now());
    for (const hostId of hosts) this.hostsToLookAt.add(hostId);
    if (restMs > 0) this.options.rest(run, restMs);
  }

  /** A request that begins or ceases to wait for a person lets others have its hosts, or wants them back. */
  private noteParked(run: RequestRun): void {
    if (run.parked === this.parked.has(run)) return;
    if (run.parked) this.parked.set(run, performance.now());
    else this.parked.delete(run);
    for (const hostId of run.unfinishedHosts()) this.hostsToLookAt.add(hostId);
  }

  private collectHost(hostId: bigint, batch: Batch): void {
    this.hostsWithEnough.delete(hostId);
    const sessionEpoch = this.queues.session(hostId)?.epoch;
    if (sessionEpoch === undefined) return;
    for (const task of this.queues.next(hostId)) {
      const run = this.runs.get(task.requestId);
      if (run === undefined) continue;
      if (this.options.maxInFlight > 0 || run.options.maxInFlight > 0)
        this.turns.offer(run, hostId);
      else if (batch.room > 0) batch.add(run, task, TaskEvent.RELEASED, { sessionEpoch });
    }
    if (batch.room === 0) this.hostsToLookAt.add(hostId);
  }

  private takeTurns(batch: Batch): void {
    const { maxInFlight: most } = this.options;
    const isFull = () =>
      batch.room === 0 || (most > 0 && this.queues.inFlight + batch.releases >= most);
    if (isFull()) return;
    const hasRoom = (run: RequestRun) => {
      const { maxInFlight } = run.options;
      const free = maxInFlight === 0 || run.inFlight + batch.releasesOf(run) < maxInFlight;
      return free && !isFull();
    };
    for (const { run, hostId } of this.turns.take(hasRoom)) {
      const sessionEpoch = this.queues.session(hostId)?.epoch;
      const task = this.queues.next(hostId).find(({ requestId }) => requestId === run.requestId);
      if (sessionEpoch === undefined || task === undefined) continue;
      batch.add(run, task, TaskEvent.RELEASED, { sessionEpoch });
    }
  }
}
