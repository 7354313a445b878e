import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "pino";
import type { Limiter } from "./limiter.js";

/** Packages by digest: the newest used ones in memory, the others from the store. */
export interface PackageCache {
  /** The package's bytes, piece by piece. Throws what the store answers, such as NOT_FOUND. */
  read(digest: string, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** What is kept, in bytes. */
  readonly bytes: number;
}

/** How to make it. */
export interface PackageCacheOptions {
  /** Reads a package from the store. */
  load(digest: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** What is kept at most; a larger package is never kept. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Bounds the reads from the store. */
  readonly limiter: Limiter;
  /** A read that brings nothing, or whose reader takes nothing, for so long is given up. Default 60,000. */
  readonly idleMs?: number;
  readonly log: Logger;
}

/** A package being read, or read: many readers share it. */
interface Entry {
  readonly pieces: Uint8Array[];
  bytes: number;
  readers: number;
  state: "loading" | "complete" | "too-large" | "failed";
  error?: unknown;
  readonly changed: Set<() => void>;
  readonly abort: AbortController;
}

/** Makes a cache of packages. However many agents ask for one at once, it is read from the store once. */
export function createPackageCache(options: PackageCacheOptions): PackageCache {
  const { load, limiter, log, maxBytes = 64 << 20, idleMs = 60_000 } = options;
  /** Least recently used first. */
  const entries = new Map<string, Entry>();
  let bytes = 0;

  function remove(digest: string, entry: Entry): void {
    if (entries.get(digest) !== entry) return;
    entries.delete(digest);
    bytes -= entry.bytes;
  }

  function makeRoom(): void {
    for (const [digest, entry] of entries) {
      if (bytes <= maxBytes) return;
      if (entry.state === "complete") remove(digest, entry);
    }
  }

  async function fill(digest: string, entry: Entry): Promise<void> {
    const hash = createHash("sha256");
    const tell = () => {
      for (const wake of entry.changed) wake();
    };
    try {
      await limiter.run(async () => {
        for await (const piece of load(digest, entry.abort.signal)) {
          if (entry.bytes + piece.byteLength > maxBytes) {
            entry.state = "too-large";
            return;
          }
          hash.update(piece);
          entry.pieces.push(piece);
          entry.bytes += piece.byteLength;
          if (entries.get(digest) === entry) bytes += piece.byteLength;
          makeRoom();
          tell();
        }
        if (hash.digest("hex") !== digest) {
          throw new ConnectError(`package ${digest} is damaged in the store`, Code.DataLoss);
        }
        entry.state = "complete";
      }, entry.abort.signal);
    } catch (error) {
      entry.state = "failed";
      entry.error = error;
    } finally {
      if (entry.state !== "complete") {
        remove(digest, entry);
        entry.abort.abort();
      }
      tell();
    }
  }

  function open(digest: string): Entry {
    const known = entries.get(digest);
    if (known !== undefined) {
      entries.delete(digest);
      entries.set(digest, known);
      return known;
    }
    const abort = new AbortController();
    const entry: Entry = {
      ...{ pieces: [], bytes: 0, readers: 0, abort },
      state: "loading",
      changed: new Set(),
    };
    entries.set(digest, entry);
    void fill(digest, entry);
    return entry;
  }

  /** Reads a package that is not kept, past what its reader has. */
  async function* direct(digest: string, skip: number, signal: AbortSignal) {
    log.debug({ digest }, "a package is too large to be kept");
    const abort = new AbortController();
    const gone = () => abort.abort(signal.reason);
    signal.addEventListener("abort", gone);
    let left = skip;
    let timer = setTimeout(giveUp, idleMs);
    function giveUp(): void {
      abort.abort(new ConnectError(`nothing moved for ${idleMs} ms`, Code.DeadlineExceeded));
    }
    try {
      for await (const piece of load(digest, abort.signal)) {
        const rest = piece.subarray(Math.min(left, piece.byteLength));
        left -= piece.byteLength - rest.byteLength;
        if (rest.byteLength > 0) yield rest;
        clearTimeout(timer);
        timer = setTimeout(giveUp, idleMs);
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", gone);
      abort.abort();
    }
  }

  async function* read(digest: string, signal: AbortSignal) {
    const entry = open(digest);
    entry.readers += 1;
    let sent = 0;
    try {
      for (let index = 0; ; ) {
        signal.throwIfAborted();
        const piece = entry.pieces[index];
        if (piece !== undefined) {
          index += 1;
          sent += piece.byteLength;
          yield piece;
        } else if (entry.state === "loading") {
          await change(entry, signal);
        } else if (entry.state === "complete") {
          return;
        } else if (entry.state === "failed") {
          throw entry.error;
        } else {
          break;
        }
      }
    } finally {
      entry.readers -= 1;
      if (entry.readers === 0 && entry.state === "loading") {
        remove(digest, entry);
        entry.abort.abort(new ConnectError("nobody reads the package any more", Code.Canceled));
      }
    }
    yield* direct(digest, sent, signal);
  }

  return {
    read,
    get bytes() {
      return bytes;
    },
  };
}

/** Resolves when the entry has changed or the signal aborts. */
function change(entry: Entry, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      entry.changed.delete(wake);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    entry.changed.add(wake);
    signal.addEventListener("abort", wake);
  });
}
