import type { Knex } from "knex";
import type { Logger } from "pino";
import { readVersions } from "../store/read-requests.js";
import { join, untilWoken } from "./followers.js";

const pollMs = 250;
/** How long after a look at a request its next change is told at the earliest, unless it is over by then. */
const restMs = 100;

/** Tells those who follow a request when there is something new. */
export interface ChangeFeed {
  /** This replica has committed changes of these requests, of which these are over by that. */
  requestsChanged(requestIds: Iterable<number>, over?: ReadonlySet<number>): void;
  /** Follows a request, until it is closed. */
  follow(requestId: number): Follower;
}

/** Who follows a request. */
export interface Follower {
  /** To be said before the request is read: what is told from here on may not be in what is read. */
  reading(): void;
  /**
   * Resolves once the request's version may be above `version`: told here since `reading`, or found in the database. Or the signal aborts.
   * Unless it is over, not sooner than a tenth of a second after `reading`: what changes meanwhile is read as one.
   */
  above(version: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

interface Waiter {
  told: boolean;
  /** What was told ends the request. */
  isOver: boolean;
  /** On this process's monotonic clock. */
  readAt: number;
  /** Wakes it when it has rested. */
  rest?: NodeJS.Timeout | undefined;
  /** While it waits. */
  waiting?: { readonly version: number; readonly wake: () => void } | undefined;
}

/**
 * What this replica commits is told at once, or a tenth of a second after the look before: however fast a request goes on, who follows it
 * costs no more than that. What others commit is found by one query per 250 ms for all requests that somebody follows,
 * and none while nobody does. Events are hints: who is woken reads for himself.
 */
export function createChangeFeed(db: Knex, log: Logger): ChangeFeed {
  const requests = new Map<number, Set<Waiter>>();
  let timer: NodeJS.Timeout | undefined;

  async function poll(): Promise<void> {
    try {
      const versions = await readVersions(db, [...requests.keys()]);
      for (const [requestId, waiters] of requests) {
        const version = versions.get(requestId) ?? Number.POSITIVE_INFINITY;
        for (const { waiting } of waiters)
          if (version > (waiting?.version ?? version)) waiting?.wake();
      }
    } catch (error) {
      log.warn({ err: error }, "the versions of followed requests could not be read");
      // Whoever reads for himself now finds out, and can tell his caller.
      for (const waiters of requests.values()) for (const { waiting } of waiters) waiting?.wake();
    }
    timer = undefined;
    schedule();
  }

  /** Wakes who waits, now or when it has rested. */
  function wakeInTime(waiter: Waiter): void {
    const leftMs = waiter.readAt + restMs - performance.now();
    if (waiter.isOver || leftMs <= 0) waiter.waiting?.wake();
    else waiter.rest ??= setTimeout(() => waiter.waiting?.wake(), leftMs);
  }

  function schedule(): void {
    if (timer !== undefined || requests.size === 0) return;
    timer = setTimeout(() => void poll(), pollMs).unref();
  }

  return {
    requestsChanged(requestIds, over) {
      for (const id of requestIds) {
        for (const waiter of requests.get(id) ?? []) {
          waiter.told = true;
          waiter.isOver ||= over?.has(id) === true;
          if (waiter.waiting !== undefined) wakeInTime(waiter);
        }
      }
    },
    follow(requestId) {
      const waiter: Waiter = { told: false, isOver: false, readAt: 0 };
      const leave = join(requests, requestId, waiter);
      schedule();
      return {
        reading() {
          waiter.told = false;
          waiter.readAt = performance.now();
        },
        async above(version, signal) {
          if (signal.aborted) return;
          await untilWoken(signal, (wake) => {
            waiter.waiting = { version, wake };
            if (waiter.told) wakeInTime(waiter);
          });
          waiter.waiting = undefined;
          clearTimeout(waiter.rest);
          waiter.rest = undefined;
        },
        close() {
          waiter.waiting?.wake();
          leave();
        },
      };
    },
  };
}
