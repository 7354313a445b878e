import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Fetch } from "../package-cache.js";
import type { LiveSession } from "./session.js";

/** The session of the moment, and who waits for one. */
export interface Live {
  session: LiveSession | undefined;
  readonly waiters: (() => void)[];
}

const retryMs = 500;

/**
 * Fetches over the session of the moment, waiting for one when there is none. A session that ends in the middle is no failure: the fetch
 * begins anew on the next one. What the server does not have fails.
 */
export function fetcher(live: Live): Fetch {
  return async function* fetch(digest, signal) {
    for (;;) {
      signal.throwIfAborted();
      const { session } = live;
      if (session === undefined) {
        await nextSession(live, signal);
        continue;
      }
      const pieces: Uint8Array[] = [];
      try {
        const both = AbortSignal.any([signal, session.signal]);
        const stream = session.client.fetchPackage(
          { digest, session: session.key },
          { signal: both },
        );
        for await (const { data } of stream) pieces.push(data);
      } catch (error) {
        signal.throwIfAborted();
        const { code, rawMessage } = ConnectError.from(error);
        const final = code === Code.NotFound || code === Code.InvalidArgument;
        if (final) throw new Error(`the server cannot give ${digest}: ${rawMessage}`);
        await sleep(retryMs, undefined, { signal });
        continue;
      }
      yield* pieces;
      return;
    }
  };
}

async function nextSession(live: Live, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const give = () => reject(signal.reason);
    signal.addEventListener("abort", give, { once: true });
    live.waiters.push(() => {
      signal.removeEventListener("abort", give);
      resolve();
    });
  });
}
