import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { Logger } from "pino";
import { type FetchFile, PackageError } from "../package-cache.js";
import { reconnectPauseMs } from "./server-addresses.js";
import type { LiveSession } from "./session-options.js";

/** The session of the moment. */
export interface SessionSlot {
  /** Sets it; undefined when there is none. */
  set(session: LiveSession | undefined): void;
  /** The session, waiting for one when there is none. Rejects with the signal's reason. */
  get(signal: AbortSignal): Promise<LiveSession>;
}

/** Makes an empty slot. */
export function createSessionSlot(): SessionSlot {
  let current: LiveSession | undefined;
  const waiters = new Set<(session: LiveSession) => void>();
  return {
    set(session) {
      current = session;
      if (session === undefined) return;
      for (const wake of waiters) wake(session);
      waiters.clear();
    },
    get(signal) {
      if (current !== undefined) return Promise.resolve(current);
      return new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const give = () => {
          waiters.delete(wake);
          reject(signal.reason);
        };
        const wake = (session: LiveSession) => {
          signal.removeEventListener("abort", give);
          resolve(session);
        };
        waiters.add(wake);
        signal.addEventListener("abort", give, { once: true });
      });
    },
  };
}

/** What will not be otherwise if it is asked again. */
const finalCodes = new Set([
  Code.NotFound,
  Code.InvalidArgument,
  Code.OutOfRange,
  Code.DataLoss,
  Code.Unimplemented,
  Code.PermissionDenied,
  Code.Unauthenticated,
]);
/** No package or document is larger; a server that never ends must not fill the disk. */
const mostBytes = 512 << 20;
/** A server that fails of itself so often in a row, its session alive, is believed. */
const mostFailures = 5;

/**
 * Fetches over the session of the moment, waiting for one when there is none. A session that ends in the middle is no failure: the fetch
 * begins anew on the next one. What the server does not have fails, and what cannot be written.
 */
export function fetcher(
  sessions: SessionSlot,
  log: Logger,
  maxBytes: number = mostBytes,
): FetchFile {
  return async (digest, path, signal) => {
    let failures = 0;
    for (let tries = 1; ; tries += 1) {
      const session = await sessions.get(signal);
      try {
        return await fetchOnce(session, digest, path, signal, maxBytes);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ConnectError)) {
          throw new PackageError(`${digest} cannot be kept: ${(error as Error).message}`);
        }
        const { code, rawMessage } = error;
        const own = code === Code.Internal || code === Code.Unknown;
        failures = own && !session.signal.aborted ? failures + 1 : 0;
        if (finalCodes.has(code) || failures >= mostFailures) {
          throw new PackageError(`the server cannot give ${digest}: ${rawMessage}`);
        }
        log.info({ digest, reason: rawMessage }, "a package did not come through: trying again");
        await sleep(reconnectPauseMs(tries), undefined, { signal });
      }
    }
  };
}

/** Writes what the server sends to a file, and resolves with its digest. */
async function fetchOnce(
  { client, key, signal: live }: LiveSession,
  digest: string,
  path: string,
  signal: AbortSignal,
  maxBytes: number,
): Promise<string> {
  // Ours, so that the call ends with us even where nobody reads it to its end.
  const over = new AbortController();
  const { signal: either, release } = joinSignals(signal, live, over.signal);
  const hash = createHash("sha256");
  const pieces = client.fetchPackage({ digest, session: key }, { signal: either });
  async function* hashed() {
    let bytes = 0;
    for await (const { data } of pieces) {
      bytes += data.byteLength;
      if (bytes > maxBytes) throw new Error(`the server sends more than ${maxBytes} bytes`);
      hash.update(data);
      yield data;
    }
  }
  try {
    await pipeline(hashed, createWriteStream(path, { mode: 0o600, flush: true }));
    return hash.digest("hex");
  } finally {
    over.abort();
    release();
  }
}
