import { randomUUID } from "node:crypto";
import { readdirSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";
import type { UseMarks } from "./use-marks.js";

/** What is pruned. */
export interface PruneOptions {
  readonly folders: AgentFolders;
  readonly marks: UseMarks;
  /** What nobody named for longer goes. */
  readonly maxAgeMs: number;
  /** Those that stay however long ago they were named. */
  readonly inUse: ReadonlySet<string>;
}

/**
 * Removes the packages and documents that nobody named for long. They would be fetched again. Each goes by one rename, in the turn in
 * which its mark is read, so that who asks for it in the same moment either finds it whole or fetches it.
 * @returns the digests of those removed
 */
export async function pruneCache(
  { folders, marks, maxAgeMs, inUse }: PruneOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const packages = join(folders.cache, "packages");
  const kept = [
    ...readdirSync(packages).map((digest) => ({ digest, path: join(packages, digest) })),
    ...readdirSync(folders.clusterCache).map((name) => ({
      digest: name.replace(/[.]json$/, ""),
      path: join(folders.clusterCache, name),
    })),
  ];
  const removed: string[] = [];
  for (const { digest, path } of kept) {
    signal.throwIfAborted();
    if (!/^[0-9a-f]{64}$/.test(digest) || inUse.has(digest)) continue;
    if (marks.idleMs(path) <= maxAgeMs) continue;
    // Emptied at the next start, should this one not come to its end.
    const aside = join(folders.cache, "fetching", randomUUID());
    renameSync(path, aside);
    marks.forget(path);
    await rm(aside, { recursive: true, force: true });
    removed.push(digest);
  }
  return removed;
}
