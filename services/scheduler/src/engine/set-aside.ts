import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { BatchPart } from "./batch.js";
import type { RequestRun } from "./request-run.js";

/** How long a request is set aside, and who is told. */
export interface SetAsideOptions {
  /** The first time; each further one in a row lasts twice as long, up to a minute. */
  readonly firstMs: number;
  readonly log: Logger;
  /** Called when it is to be tried again. */
  readonly again: (run: RequestRun) => void;
}

const longestMs = 60_000;

/**
 * Requests about which the store refuses what is asked: nothing more is asked about each for a while, so that the others go on. That
 * is a fault of ours, or of the database; what the request says to people is why.
 */
export class SetAside {
  private readonly refusals = new WeakMap<RequestRun, number>();
  private readonly timers = new Map<RequestRun, NodeJS.Timeout>();
  private stopped = false;

  constructor(private readonly options: SetAsideOptions) {}

  /**
   * The store refused what was asked about the request.
   * @returns what those are told who asked for it
   */
  refused({ run, tasks }: BatchPart, { code, rawMessage }: ConnectError): ConnectError {
    const { firstMs, log } = this.options;
    const refusals = (this.refusals.get(run) ?? 0) + 1;
    this.refusals.set(run, refusals);
    const forMs = Math.min(longestMs, firstMs * 2 ** (refusals - 1));
    const why = `the store refuses what is to be recorded of it (${rawMessage})`;
    log.error(
      { request: run.requestId, code: Code[code], refusals, forMs },
      `request ${run.requestId} is set aside: ${why}`,
    );
    run.answered(tasks);
    run.setAside(`${why}; tried again every ${Math.round(forMs / 1_000)} s or so`);
    clearTimeout(this.timers.get(run));
    if (!this.stopped) {
      const timer = setTimeout(() => this.takeUp(run), forMs);
      timer.unref();
      this.timers.set(run, timer);
    }
    return new ConnectError(`request ${run.requestId}: ${run.pauseReason}`, code);
  }

  /** Something about the request was recorded. */
  recorded(run: RequestRun): void {
    this.refusals.delete(run);
  }

  /** Asks about the request again now, if it is set aside. */
  takeUp(run: RequestRun): void {
    const timer = this.timers.get(run);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.timers.delete(run);
    run.takeUp();
    this.options.again(run);
  }

  /** Sets no more timers. */
  stop(): void {
    this.stopped = true;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }
}
