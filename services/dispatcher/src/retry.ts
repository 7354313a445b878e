import { Code, ConnectError } from "@connectrpc/connect";

/** Pauses that grow from one failure to the next. */
export interface Backoff {
  /** The next pause: about twice the one before, with jitter. */
  nextMs(): number;
  /** The next pause is the first again. */
  reset(): void;
}

/** Makes pauses that grow from `firstMs` (default 100) to `maxMs` (default 5,000), each between half of it and all. */
export function createBackoff(firstMs = 100, maxMs = 5_000): Backoff {
  let ceilingMs = firstMs;
  return {
    nextMs() {
      const pauseMs = ceilingMs * (0.5 + Math.random() / 2);
      ceilingMs = Math.min(maxMs, ceilingMs * 2);
      return pauseMs;
    },
    reset() {
      ceilingMs = firstMs;
    },
  };
}

/** Resolves after `ms`, or as soon as the signal aborts; the caller looks at its signal. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

const awayCodes = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Aborted,
  Code.ResourceExhausted,
]);

/** Whether a failed call says that the store could not be asked just now: the same call may work later. */
export function isAway(error: unknown): boolean {
  return awayCodes.has(ConnectError.from(error).code);
}

const refusalCodes = new Set([Code.InvalidArgument, Code.OutOfRange, Code.FailedPrecondition]);

/** Whether a failed call says that what was sent cannot be taken, now or later. */
export function isRefusal(error: unknown): boolean {
  return refusalCodes.has(ConnectError.from(error).code);
}

/** An expected failure in one line, for the log. */
export function messageOf(error: unknown): string {
  return ConnectError.from(error).message;
}
