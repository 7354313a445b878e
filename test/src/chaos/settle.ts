import { setTimeout as sleep } from "node:timers/promises";
import type { Journal } from "./check/history.js";
import { countWaiting } from "./collect/count-waiting.js";
import { openDatabase } from "./collect/open-database.js";

/** After all is healed so long is waited for the requests to end. */
const settleMs = 150_000;

/** How a run comes to rest. */
export interface SettleOptions {
  /** The database. */
  readonly url: string;
  /** What the agents' journals say now. */
  readonly journals: () => readonly Journal[];
  readonly log: (line: string) => void;
  /** Ends the wait early. */
  readonly signal: AbortSignal;
}

/** Waits until every request is over or waits for a person, and every result is acknowledged; what is not in time is for the checks. */
export async function untilSettled(options: SettleOptions): Promise<void> {
  const { url, journals, log, signal } = options;
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1_000);
  let tellAt = began + 5_000;
  const connection = await openDatabase(url);
  // A query that is under way ends with its connection.
  const giveUp = () => connection.destroy();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const waiting = await countWaiting(connection);
      const silent = journals().flatMap(({ host, entries, wipedAtMs }) =>
        entries
          .filter(({ state, acknowledged }) => state !== "ENDED" || !acknowledged)
          .filter(() => wipedAtMs === undefined)
          .map(({ taskId, attempt, state }) => `${host}'s ${taskId}:${attempt} ${state}`),
      );
      if (waiting.length === 0 && silent.length === 0) {
        log(`settled after ${seconds()} s`);
        return;
      }
      if (performance.now() > tellAt) {
        tellAt += 5_000;
        const most = (things: readonly string[]) => things.slice(0, 4).join(", ");
        log(
          `waiting for ${waiting.length} tasks: ${most(waiting)}; ${silent.length} journal entries: ${most(silent)}`,
        );
      }
      if (performance.now() - began > settleMs) {
        log(`gave up waiting: ${waiting.length} tasks, ${silent.length} journal entries`);
        return;
      }
      await sleep(500, undefined, { signal });
    }
  } finally {
    signal.removeEventListener("abort", giveUp);
    connection.destroy();
  }
}
