import { ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import { createBackoff, isAway, isRefusal, messageOf, pause } from "./retry.js";

/** How to make a batcher. */
export interface BatcherOptions<T, R> {
  /** What the items are, for the log: "reports". */
  readonly name: string;
  readonly maxRows: number;
  readonly maxBytes: number;
  /** How many batches may be under way: a further one begins when there is enough for a full one. Default 1. */
  readonly atOnce?: number;
  /** About how many bytes an item has in its message. */
  sizeOf(item: T): number;
  /** Whether the item is still to be sent, asked when its batch is made. Default: always. */
  wanted?(item: T): boolean;
  /** Sends a batch; resolves with one result for each item, in the same order. */
  send(items: T[], signal: AbortSignal): Promise<R[]>;
  /** Takes the result of an item. */
  settled(item: T, result: R): void;
  /** Takes the refusal of an item that was sent alone. */
  refused(item: T, error: ConnectError): void;
  /** Ends all; items that are not settled by then never are. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Sends items in batches whose size follows the load. */
export interface AdaptiveBatcher<T> {
  /** Takes an item; it is settled or refused later, in the order of adding but for refusals and, with `atOnce`, batches that overtake others. */
  add(item: T): void;
  /** Items that are neither settled nor refused. */
  readonly pending: number;
  /** Their bytes. */
  readonly pendingBytes: number;
  /** Resolves when nothing is pending, or the signal aborts. */
  flushed(signal: AbortSignal): Promise<void>;
  /** Resolves when at most `bytes` are pending, or the signal aborts. */
  room(bytes: number, signal: AbortSignal): Promise<void>;
}

/** A fault that is neither an outage nor a refusal is blamed on an item after so many tries of the batch. */
const triesBeforeBlame = 3;
/** How long an item rests that makes the receiver fail. */
const restMs = 15_000;

/**
 * Makes a batcher: one batch is under way at a time, and what arrives meanwhile is the next (see `atOnce`). An idle one has no timer.
 * While the receiver is away, the batch is tried again with growing pauses and nothing is dropped. A batch that is refused
 * is halved until the bad item stands alone, so that it cannot block others; an item on which the receiver fails time and
 * again rests while the others go on.
 */
export function createAdaptiveBatcher<T, R>(options: BatcherOptions<T, R>): AdaptiveBatcher<T> {
  const { name, signal, log, atOnce = 1 } = options;
  let queue: T[] = [];
  let queuedBytes = 0;
  let pending = 0;
  let pendingBytes = 0;
  let pumps = 0;
  /** Looks again whether what somebody waits for has come. */
  const waiters = new Set<() => void>();

  function over(item: T): void {
    pending -= 1;
    pendingBytes -= options.sizeOf(item);
  }

  function take(): T[] {
    const batch: T[] = [];
    let bytes = 0;
    let taken = 0;
    for (const item of queue) {
      const size = options.sizeOf(item);
      if (batch.length > 0 && bytes + size > options.maxBytes) break;
      if (batch.length === options.maxRows) break;
      taken += 1;
      if (options.wanted?.(item) === false) {
        over(item);
        continue;
      }
      batch.push(item);
      bytes += size;
    }
    for (const item of queue.slice(0, taken)) queuedBytes -= options.sizeOf(item);
    queue = taken === queue.length ? [] : queue.slice(taken);
    if (queue.length === 0) queuedBytes = 0;
    return batch;
  }

  async function commit(batch: T[]): Promise<void> {
    if (batch.length === 0) return;
    const backoff = createBackoff();
    for (let tries = 1; !signal.aborted; tries += 1) {
      try {
        const results = await options.send(batch, signal);
        if (results.length !== batch.length) {
          throw new Error(`${results.length} results came for ${batch.length} ${name}`);
        }
        for (const [index, item] of batch.entries()) {
          over(item);
          options.settled(item, results[index] as R);
        }
        for (const look of waiters) look();
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (isRefusal(error)) return refuse(batch, error);
        if (!isAway(error) && tries >= triesBeforeBlame) return blame(batch, error);
        if (tries === 1)
          log.warn({ error: messageOf(error), rows: batch.length }, `${name} wait for the store`);
        await pause(backoff.nextMs(), signal);
      }
    }
  }

  async function refuse(batch: T[], error: unknown): Promise<void> {
    if (batch.length > 1) return halves(batch);
    const [item] = batch as [T];
    over(item);
    options.refused(item, ConnectError.from(error));
    for (const look of waiters) look();
  }

  async function blame(batch: T[], error: unknown): Promise<void> {
    if (batch.length > 1) return halves(batch);
    log.error({ err: error }, `the store fails on one of the ${name}; it is tried again later`);
    setTimeout(() => enqueue(batch), restMs).unref();
  }

  async function halves(batch: T[]): Promise<void> {
    const middle = Math.ceil(batch.length / 2);
    await commit(batch.slice(0, middle));
    await commit(batch.slice(middle));
  }

  async function pump(): Promise<void> {
    pumps += 1;
    // What other connections have to say in this turn of the event loop comes along.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (queue.length > 0 && (pumps === 1 || isFull()) && !signal.aborted) {
        await commit(take());
      }
    } finally {
      pumps -= 1;
      for (const look of waiters) look();
    }
  }

  function enqueue(items: T[]): void {
    queue.push(...items);
    for (const item of items) queuedBytes += options.sizeOf(item);
    if (pumps === 0 || (pumps < atOnce && isFull())) void pump();
  }

  function isFull(): boolean {
    return queuedBytes >= options.maxBytes || queue.length >= options.maxRows;
  }

  function when(come: () => boolean, until: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!come() && !until.aborted) return;
        waiters.delete(look);
        until.removeEventListener("abort", look);
        resolve();
      };
      waiters.add(look);
      until.addEventListener("abort", look);
      look();
    });
  }

  return {
    add(item) {
      pending += 1;
      pendingBytes += options.sizeOf(item);
      enqueue([item]);
    },
    get pending() {
      return pending;
    },
    get pendingBytes() {
      return pendingBytes;
    },
    flushed: (until) => when(() => pending === 0, until),
    room: (bytes, until) => when(() => pendingBytes <= bytes, until),
  };
}
