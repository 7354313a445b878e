import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "mysql2/promise";
import type { BenchSystem } from "../system/bench-system.js";
import { storedChunks, storedOutput } from "./stored-output.js";

/** What a run came to. */
export interface KeptRate {
  readonly bytesPerSecond: number;
  /** How large the chunks are in which it came to be stored, on average. */
  readonly chunkBytes: number;
}

const lookEveryMs = 10;
const stalledMs = 60_000;

/**
 * Has one command run on the hosts that `select` names, which write `bytes` in all, faster than can be kept: counted from the first
 * start until MySQL has the last byte. Rejects when a minute passes in which nothing comes.
 */
export async function keptRate(
  system: BenchSystem,
  database: Connection,
  { select, bytes, signal }: { select: string; bytes: number; signal: AbortSignal },
): Promise<KeptRate> {
  const requestId = await system.submitLine(select, { parallel: true });
  let stored = 0;
  let startedAtMs = 0;
  let grewAt = performance.now();
  while (stored < bytes) {
    await sleep(lookEveryMs, undefined, { signal });
    const now = await storedOutput(database, requestId);
    if (now.bytes > stored) grewAt = performance.now();
    if (performance.now() - grewAt > stalledMs) {
      throw new Error(`request ${requestId}: ${now.bytes} of ${bytes} bytes are stored, no more`);
    }
    stored = now.bytes;
    startedAtMs = now.startedAtMs;
  }
  const seconds = (Date.now() - startedAtMs) / 1_000;
  await system.over(requestId);
  const chunks = await storedChunks(database, requestId);
  return { bytesPerSecond: bytes / seconds, chunkBytes: Math.round(bytes / chunks) };
}
