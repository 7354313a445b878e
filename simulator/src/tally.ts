import type { ResultStatus } from "@howdah/agent/journal/entry";

/** What the simulated hosts have done, all together. */
export interface Tally {
  /** Hosts that have a session now. */
  connected: number;
  /** Sessions that came after a host's first. */
  reconnects: number;
  /** Commands that run now. */
  running: number;
  /** How commands ended. */
  readonly ended: Record<ResultStatus, number>;
}

/** A tally of nothing. */
export function newTally(): Tally {
  const ended = { COMPLETED: 0, FAILED: 0, TIMEDOUT: 0, ABORTED: 0, INTERRUPTED: 0 };
  return { connected: 0, reconnects: 0, running: 0, ended };
}

/** What is told of it. Commands that were timed out count as failed. */
export interface Told {
  readonly agents: number;
  readonly connected: number;
  readonly running: number;
  readonly completed: number;
  readonly failed: number;
  readonly aborted: number;
  /** Sessions that came after a host's first. */
  readonly reconnects: number;
  /** The memory of this process, resident. */
  readonly residentMib: number;
}

/** What to tell of a tally. */
export function told(tally: Tally, agents: number): Told {
  const { ended } = tally;
  return {
    agents,
    connected: tally.connected,
    running: tally.running,
    completed: ended.COMPLETED,
    failed: ended.FAILED + ended.TIMEDOUT,
    aborted: ended.ABORTED,
    reconnects: tally.reconnects,
    residentMib: Math.round(process.memoryUsage.rss() / 2 ** 20),
  };
}
