import type { RequestRun } from "./request-run.js";

/** Hosts that could be given tasks of capped requests; the requests take turns, so that a large one leaves room for a small one. */
export class Turns {
  private readonly waiting = new Map<RequestRun, Set<bigint>>();

  /** A host could be given a task of the request. */
  offer(run: RequestRun, hostId: bigint): void {
    const hosts = this.waiting.get(run) ?? new Set();
    this.waiting.set(run, hosts.add(hostId));
  }

  /** Forgets a request. */
  forget(run: RequestRun): void {
    this.waiting.delete(run);
  }

  /** Whether a host of the request waits for room. */
  isWaiting(run: RequestRun, hostId: bigint): boolean {
    return this.waiting.get(run)?.has(hostId) ?? false;
  }

  /**
   * Takes turns: a host of one request, then a host of the next, until none is left that has room. What is taken is no longer offered.
   * Whose turn is next is remembered.
   */
  *take(hasRoom: (run: RequestRun) => boolean): Iterable<{ run: RequestRun; hostId: bigint }> {
    let passedBy = 0;
    while (passedBy < this.waiting.size) {
      const [turn] = this.waiting;
      if (turn === undefined) return;
      const [run, hosts] = turn;
      this.waiting.delete(run);
      const [hostId] = hosts;
      if (hostId === undefined) continue;
      const room = hasRoom(run);
      if (room) hosts.delete(hostId);
      if (hosts.size > 0) this.waiting.set(run, hosts);
      passedBy = room ? 0 : passedBy + 1;
      if (room) yield { run, hostId };
    }
  }
}
