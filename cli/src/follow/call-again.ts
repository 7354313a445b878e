import { setTimeout as delay } from "node:timers/promises";
import { mayPass } from "../cli-error.js";

/** How long a server may be away before whoever follows something gives up. */
const patienceMs = 120_000;

/** How a stream is followed. */
export interface FollowOptions {
  /** Ends the following, with the signal's reason. */
  signal: AbortSignal;
  /** Told once each time the server stays away for more than a moment. */
  onAway?: () => void;
}

/**
 * Yields what a server's stream yields, and calls again when it ends before its time: the gateway caps the age of
 * streams, and services are restarted. `open` must take up where the last message was. Ends when `isLast` says so;
 * throws what the server refuses, and what it last said once it was away for two minutes.
 */
export async function* callAgain<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  isLast: (message: T) => boolean,
  { signal, onAway }: FollowOptions,
): AsyncGenerator<T> {
  let lastHeard = performance.now();
  let pauseMs = 0;
  for (;;) {
    const call = new AbortController();
    const abort = () => call.abort(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      signal.throwIfAborted();
      for await (const message of open(call.signal)) {
        lastHeard = performance.now();
        pauseMs = 0;
        yield message;
        if (isLast(message)) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!mayPass(error) || performance.now() - lastHeard > patienceMs) throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      call.abort();
    }
    pauseMs = pauseMs === 0 ? 100 : Math.min(pauseMs * 2, 5_000);
    if (pauseMs === 1_600) onAway?.();
    await delay(pauseMs, undefined, { signal });
  }
}
