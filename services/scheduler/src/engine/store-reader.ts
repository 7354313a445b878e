import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { Task } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { openStatuses } from "@howdah/state/statuses";
import type { Logger } from "pino";
import { loadRun, standingOf, taskPageSize } from "./load-run.js";
import type { RequestRun } from "./request-run.js";
import type { RunContents } from "./run-contents.js";
import type { ToldChange } from "./run-task.js";

/** What reading needs, and what it tells. */
export interface StoreReaderOptions {
  readonly store: Client<typeof CommandStoreService>;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The requests that are driven. */
  readonly runs: ReadonlyMap<bigint, RequestRun>;
  /** Called with a request that is not driven and not over. */
  found(contents: RunContents): void;
  /** Called with each task that changed. */
  changed(change: ToldChange): void;
  /** Called when a request was read: it is as it is known, and everything may be asked for again. */
  read(run: RequestRun): void;
  /** Called when it was read whether a request is paused or aborted. */
  stood(run: RequestRun): void;
  /** The pause between two passes; and a request is not read again at once when it was read within it. */
  readonly everyMs: number;
}

/** A request that may have been made unseen. */
interface Suspicion {
  readonly looked: () => void;
  /** Until when it may be made, on this process's monotonic clock. */
  readonly until: number;
}

const readsAtOnce = 8;
/** Of how many passes one is made while nothing is driven, less one. */
const leftOutWhenIdle = 2;
const retryMs = 200;
const maxRetryMs = 2_000;
const askedStatuses = new Set([Status.PENDING, ...openStatuses]);
/** What will not go away by trying again at once. */
const lastingCodes: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.Internal,
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.DataLoss,
  Code.Unimplemented,
]);

/** Reads from the store what hints did not tell: requests that are not driven, changes that were not seen. */
export class StoreReader {
  /** Requests that must be read before all is known of them. */
  private readonly due = new Set<RequestRun>();
  private readonly reading = new Set<RequestRun>();
  /** Requests whose standing is being read, and whether it must be once more. */
  private readonly looking = new Map<RequestRun, boolean>();
  private readonly readAt = new WeakMap<RequestRun, number>();
  /** As long as there are any, passes are made though nothing is driven. */
  private suspicions: Suspicion[] = [];

  constructor(private readonly options: StoreReaderOptions) {}

  /**
   * A transition of the request was skipped: it is not as it is thought to be. It is read at once, and when that was no cure, with the
   * next pass only, so that a disagreement with the store never becomes a hot loop.
   */
  skipped(run: RequestRun): void {
    this.due.add(run);
    const lately = performance.now() - (this.readAt.get(run) ?? Number.NEGATIVE_INFINITY);
    if (lately < this.options.everyMs || this.reading.has(run)) return;
    void this.attempt(run.requestId, () => this.readDue(run));
  }

  /**
   * The store may have paused or aborted the request. Asked at once, and when it is asked again meanwhile, once more after the answer.
   */
  look(run: RequestRun): void {
    const isAsked = this.looking.has(run);
    this.looking.set(run, isAsked);
    if (!isAsked) void this.attempt(run.requestId, () => this.readStanding(run));
  }

  private async readStanding(run: RequestRun): Promise<void> {
    const { store, signal } = this.options;
    const { requestId } = run;
    try {
      do {
        this.looking.set(run, false);
        const { request } = await store.getRequest({ requestId }, { signal });
        if (request !== undefined) run.adopt(standingOf(request));
        this.options.stood(run);
      } while (this.looking.get(run));
    } finally {
      this.looking.delete(run);
    }
  }

  /** Forgets a request that is over. */
  forget(run: RequestRun): void {
    this.due.delete(run);
  }

  /** Reads all there is to drive, however long the store is away; until the signal aborts. */
  async takeOver(): Promise<void> {
    const { signal } = this.options;
    for (let pauseMs = retryMs; !signal.aborted; pauseMs = Math.min(pauseMs * 2, maxRetryMs)) {
      if (await this.tryPass()) return;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /**
   * A request may have been made whose maker was not told so: it is looked for with the next pass, though nothing is driven.
   * @param looked called when a pass has looked that began when it could not be made any more
   * @param withinMs how long from now it may yet be made
   */
  suspect(looked: () => void, withinMs: number): void {
    this.suspicions.push({ looked, until: performance.now() + withinMs });
  }

  /**
   * Makes a pass every now and then, until the signal aborts: a third as often while nothing is driven, for all that could be found then is a
   * request whose maker was not told that it was made.
   */
  async keepReading(): Promise<void> {
    const { signal, everyMs, runs } = this.options;
    let leftOut = 0;
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const isIdle = runs.size === 0 && this.suspicions.length === 0;
      if (isIdle && leftOut < leftOutWhenIdle) {
        leftOut += 1;
        continue;
      }
      leftOut = 0;
      const begun = performance.now();
      if (await this.tryPass()) this.lookedSince(begun);
    }
  }

  /** A pass has looked that began then. */
  private lookedSince(begun: number): void {
    const { suspicions } = this;
    this.suspicions = suspicions.filter(({ until }) => until > begun);
    for (const { looked, until } of suspicions) if (until <= begun) looked();
  }

  /** Whether a pass reached the store for all that it had to read. */
  private async tryPass(): Promise<boolean> {
    try {
      return await this.pass();
    } catch (error) {
      const { signal, log } = this.options;
      if (signal.aborted) return false;
      log.warn(`cannot reconcile, will try again: ${ConnectError.from(error).rawMessage}`);
      return false;
    }
  }

  /**
   * Finds what hints left behind. One request that cannot be read holds up no other.
   * @returns false when the store could not be reached for some of it
   * @throws ConnectError when the store cannot say which requests there are
   */
  private async pass(): Promise<boolean> {
    const { store, runs, signal } = this.options;
    const { requests } = await store.listUnfinished({}, { signal });
    const listed = new Set<bigint>();
    const work: { requestId: bigint; read: () => Promise<void> }[] = [];
    for (const { requestId, version } of requests) {
      listed.add(requestId);
      const run = runs.get(requestId);
      if (run === undefined) work.push({ requestId, read: () => this.load(requestId) });
      else if (this.due.has(run)) work.push({ requestId, read: () => this.readDue(run) });
      else if (run.versions.complete < version) {
        work.push({ requestId, read: () => this.readChanges(run) });
      }
    }
    for (const [requestId, run] of runs) {
      if (!listed.has(requestId)) work.push({ requestId, read: () => this.readChanges(run) });
    }
    let complete = true;
    const next = work.values();
    const worker = async () => {
      for (const { requestId, read } of next) {
        if (signal.aborted) return;
        if (!(await this.attempt(requestId, read))) complete = false;
      }
    };
    await Promise.all(Array.from({ length: readsAtOnce }, worker));
    return complete;
  }

  /** Whether it worked, or will not work soon either. */
  private async attempt(requestId: bigint, read: () => Promise<void>): Promise<boolean> {
    const { signal, log } = this.options;
    try {
      await read();
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const { code, rawMessage } = ConnectError.from(error);
      log.warn({ request: requestId, code: Code[code] }, `cannot read: ${rawMessage}`);
      return lastingCodes.has(code);
    }
  }

  private async load(requestId: bigint): Promise<void> {
    const { store, signal } = this.options;
    this.options.found(await loadRun(store, requestId, signal));
  }

  private async readDue(run: RequestRun): Promise<void> {
    const { store, signal } = this.options;
    if (this.reading.has(run)) return;
    this.due.delete(run);
    try {
      const { requestId } = run;
      const { request } = await store.getRequest({ requestId }, { signal });
      if (request !== undefined) run.adopt(standingOf(request));
      await this.readChanges(run);
    } catch (error) {
      this.due.add(run);
      throw error;
    }
  }

  /** Reads what changed since all was known, and lets everything be asked for again. */
  private async readChanges(run: RequestRun): Promise<void> {
    if (this.reading.has(run)) return;
    this.reading.add(run);
    try {
      const { store, signal } = this.options;
      const { requestId } = run;
      const changedAfterVersion = run.versions.complete;
      const page = { requestId, changedAfterVersion, pageSize: taskPageSize };
      let pageToken = "";
      let version: bigint | undefined;
      do {
        const answer = await store.listTasks({ ...page, pageToken }, { signal });
        // Of the first page: what changed before it is on this page or a later one.
        version ??= answer.version;
        for (const task of answer.tasks) this.options.changed(toChange(task));
        pageToken = answer.nextPageToken;
      } while (pageToken !== "");
      run.versions.readUpTo(version);
      this.readAt.set(run, performance.now());
      run.answered(run.tasksIn(askedStatuses));
      this.options.read(run);
    } finally {
      this.reading.delete(run);
    }
  }
}

function toChange(task: Task): ToldChange {
  return { ...task, version: task.changeVersion };
}
