import type { Knex } from "knex";
import type { Logger } from "pino";
import { readVersions } from "../store/read-requests.js";
import { join, untilWoken } from "./followers.js";

const pollMs = 250;

/** Tells those who follow a request when there is something new. */
export interface ChangeFeed {
  /** This replica has committed changes of these requests. */
  requestsChanged(requestIds: Iterable<number>): void;
  /** Follows a request, until it is closed. */
  follow(requestId: number): Follower;
}

/** Who follows a request. */
export interface Follower {
  /** To be said before the request is read: what is told from here on may not be in what is read. */
  reading(): void;
  /** Resolves once the request's version may be above `version`: told here since `reading`, or found in the database. Or the signal aborts. */
  above(version: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

interface Waiter {
  told: boolean;
  /** While it waits. */
  waiting?: { readonly version: number; readonly wake: () => void } | undefined;
}

/**
 * What this replica commits is told at once. What others commit is found by one query per 250 ms for all requests that somebody follows,
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

  function schedule(): void {
    if (timer !== undefined || requests.size === 0) return;
    timer = setTimeout(() => void poll(), pollMs).unref();
  }

  return {
    requestsChanged(requestIds) {
      for (const id of requestIds) {
        for (const waiter of requests.get(id) ?? []) {
          waiter.told = true;
          waiter.waiting?.wake();
        }
      }
    },
    follow(requestId) {
      const waiter: Waiter = { told: false };
      const leave = join(requests, requestId, waiter);
      schedule();
      return {
        reading() {
          waiter.told = false;
        },
        async above(version, signal) {
          if (waiter.told || signal.aborted) return;
          await untilWoken(signal, (wake) => {
            waiter.waiting = { version, wake };
          });
          waiter.waiting = undefined;
        },
        close() {
          waiter.waiting?.wake();
          leave();
        },
      };
    },
  };
}
