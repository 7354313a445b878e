import type { Knex } from "knex";
import type { Logger } from "pino";
import { readVersions } from "../store/read-requests.js";

const pollMs = 250;

/** Tells those who follow a request when there is something new. */
export interface ChangeFeed {
  /** This replica has committed changes of these requests. */
  requestsChanged(requestIds: Iterable<number>): void;
  /** Resolves once the request's version may be above `version`, told here or found in the database, or the signal aborts. */
  requestAbove(requestId: number, version: number, signal: AbortSignal): Promise<void>;
}

interface Waiter {
  readonly version: number;
  readonly wake: () => void;
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
        for (const waiter of waiters) if (version > waiter.version) waiter.wake();
      }
    } catch (error) {
      log.warn({ err: error }, "the versions of followed requests could not be read");
      // Whoever reads for himself now finds out, and can tell his caller.
      for (const waiters of requests.values()) for (const { wake } of waiters) wake();
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
      for (const id of requestIds) for (const { wake } of requests.get(id) ?? []) wake();
    },
    requestAbove(requestId, version, signal) {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          signal.removeEventListener("abort", wake);
          waiters.delete(waiter);
          if (waiters.size === 0 && requests.get(requestId) === waiters) requests.delete(requestId);
          resolve();
        };
        const waiters = requests.get(requestId) ?? new Set<Waiter>();
        const waiter = { version, wake };
        waiters.add(waiter);
        requests.set(requestId, waiters);
        signal.addEventListener("abort", wake);
        schedule();
      });
    },
  };
}
