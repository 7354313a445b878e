import type { Knex } from "knex";
import type { Logger } from "pino";
import { readVersions } from "../store/read-requests.js";

const pollMs = 250;

/** Tells those who follow a request or a task's output when there is something new. */
export interface ChangeFeed {
  /** This replica has committed changes of these requests. */
  requestsChanged(requestIds: Iterable<number>): void;
  /** This replica has committed output, or the end, of these tasks. */
  tasksChanged(taskIds: Iterable<number>): void;
  /** Resolves once the request's version may be above `version`, told here or found in the database, or the signal aborts. */
  requestAbove(requestId: number, version: number, signal: AbortSignal): Promise<void>;
  /** Resolves when the task has changed here, after 250 ms (another replica may have changed it), or when the signal aborts. */
  taskTouched(taskId: number, signal: AbortSignal): Promise<void>;
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
  const tasks = new Map<number, Set<() => void>>();
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
    tasksChanged(taskIds) {
      for (const id of taskIds) for (const wake of tasks.get(id) ?? []) wake();
    },
    requestAbove(requestId, version, signal) {
      return wait(requests, requestId, (wake) => ({ version, wake }), signal, schedule);
    },
    async taskTouched(taskId, signal) {
      let pause: NodeJS.Timeout | undefined;
      const withTimer = (wake: () => void) => {
        pause = setTimeout(wake, pollMs).unref();
        return wake;
      };
      await wait(tasks, taskId, withTimer, signal);
      clearTimeout(pause);
    },
  };
}

/** Puts a waiter among those of `id` until it is woken or the signal aborts. */
function wait<W>(
  waiting: Map<number, Set<W>>,
  id: number,
  toWaiter: (wake: () => void) => W,
  signal: AbortSignal,
  started?: () => void,
): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const wake = () => {
      signal.removeEventListener("abort", wake);
      waiters.delete(waiter);
      if (waiters.size === 0 && waiting.get(id) === waiters) waiting.delete(id);
      resolve();
    };
    const waiters = waiting.get(id) ?? new Set<W>();
    const waiter = toWaiter(wake);
    waiters.add(waiter);
    waiting.set(id, waiters);
    signal.addEventListener("abort", wake);
    started?.();
  });
}
