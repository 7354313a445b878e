import { Concurrency } from "@howdah/proto/howdah/v1/operation";
import type { BeingMade } from "./being-made.js";
import type { RequestRun } from "./request-run.js";

/**
 * Who may release while there are EXCLUSIVE requests: older ones go on, newer ones wait; when nothing else runs, the exclusive one runs
 * alone. One that waits for a person counts for nothing. Costs nothing while there is none.
 */
export class Exclusive {
  private readonly runs = new Set<RequestRun>();
  private readonly exclusives = new Set<RequestRun>();
  /** The oldest exclusive one that does not wait for a person. */
  private first: RequestRun | undefined;
  /** It runs alone. */
  private alone = false;

  constructor(private readonly beingMade: BeingMade) {}

  /** Takes in a request; it counts from the next look on, since older ones may be taken in after it. */
  add(run: RequestRun): void {
    this.runs.add(run);
    if (run.options.concurrency === Concurrency.EXCLUSIVE) this.exclusives.add(run);
  }

  /** Forgets a request. */
  remove(run: RequestRun): void {
    this.runs.delete(run);
    this.exclusives.delete(run);
  }

  /**
   * Looks again who may release.
   * @returns whether that has changed
   */
  look(): boolean {
    if (this.exclusives.size === 0 && this.first === undefined) return false;
    const former = { first: this.first, alone: this.alone };
    let first: RequestRun | undefined;
    for (const run of this.exclusives) {
      if (run.parked || run.over) continue;
      if (first === undefined || run.requestId < first.requestId) first = run;
    }
    // One that runs alone goes on to do so, whatever older one comes back.
    if (this.alone && this.first !== undefined && !this.first.parked && !this.first.over) {
      first = this.first;
    }
    this.alone =
      first !== undefined && ((this.alone && first === this.first) || this.drained(first));
    this.first = first;
    return former.first !== first || former.alone !== this.alone;
  }

  private drained(first: RequestRun): boolean {
    if (this.beingMade.holding) return false;
    for (const run of this.runs) {
      if (run === first || run.over) continue;
      if (run.inFlight > 0 || (run.requestId < first.requestId && !run.parked)) return false;
    }
    return true;
  }

  /** Whether a request that is about to be stored has nothing to do with any of them: there is none, and it is none. */
  leavesFree({ options }: RequestRun): boolean {
    return this.exclusives.size === 0 && options.concurrency !== Concurrency.EXCLUSIVE;
  }

  /** Whether a request may release. */
  admits(run: RequestRun): boolean {
    if (this.first === undefined) return true;
    return this.alone ? run === this.first : run.requestId < this.first.requestId;
  }

  /** The exclusive request that keeps this one from releasing, or whose wait for the others to end it is. */
  inTheWayOf(run: RequestRun): RequestRun | undefined {
    return this.admits(run) ? undefined : this.first;
  }
}
