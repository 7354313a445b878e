import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import type { Journal } from "../journal/journal.js";
import { cleanData } from "./clean-data.js";
import { digestsInUse } from "./digests-in-use.js";
import { pruneCache } from "./prune-cache.js";
import type { UseMarks } from "./use-marks.js";

/** What a cleaner needs. */
export interface CleanerOptions {
  readonly folders: AgentFolders;
  readonly journal: Journal;
  readonly marks: UseMarks;
  readonly log: Logger;
  readonly settings: CleanSettings;
}

/** How much is kept for how long. */
export interface CleanSettings {
  /** Between two passes; 0: none is ever made. */
  readonly intervalMs: number;
  /** Of the tasks' files in data/. */
  readonly dataMaxAgeMs: number;
  readonly dataMaxBytes: number;
  /** Of packages and documents, since they were last named. */
  readonly cacheMaxAgeMs: number;
}

/** A cleaner at work. */
export interface Cleaner {
  /** Resolves when the pass of the start is over; never rejects. */
  readonly cleaned: Promise<void>;
  close(): Promise<void>;
}

/**
 * Cleans data/ now, and data/ and cache/ after every interval. Not the cache at the start: after a long time off, what this host needs is
 * still to be named. What goes wrong is logged, and tried again with the next pass.
 */
export function startCleaner(options: CleanerOptions): Cleaner {
  const { settings, log } = options;
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let pass = Promise.resolve();

  function next(clean: typeof cleanFiles): void {
    pass = clean(options, stopping.signal).catch((error: unknown) => {
      if (!stopping.signal.aborted) log.warn({ err: error }, "old files could not be cleaned");
    });
    timer = setTimeout(() => next(cleanAll), settings.intervalMs);
    timer.unref();
  }

  if (settings.intervalMs > 0) next(cleanFiles);
  return {
    cleaned: pass,
    close: () => {
      clearTimeout(timer);
      stopping.abort(new Error("the agent stops"));
      return pass;
    },
  };
}

async function cleanAll(options: CleanerOptions, signal: AbortSignal): Promise<void> {
  await cleanFiles(options, signal);
  const { folders, journal, marks, log, settings } = options;
  const inUse = digestsInUse(folders, journal);
  const maxAgeMs = settings.cacheMaxAgeMs;
  const digests = await pruneCache({ folders, marks, maxAgeMs, inUse }, signal);
  if (digests.length > 0) log.info({ digests }, "packages that nobody named were removed");
}

async function cleanFiles(options: CleanerOptions, signal: AbortSignal): Promise<void> {
  const { folders, journal, log, settings } = options;
  const { dataMaxAgeMs: maxAgeMs, dataMaxBytes: maxBytes } = settings;
  const cleaned = await cleanData({ folders, journal, log, maxAgeMs, maxBytes }, signal);
  if (cleaned.removed > 0) log.info({ ...cleaned }, "old files of tasks were removed");
  if (cleaned.leftBytes <= maxBytes) return;
  log.warn(
    { bytes: cleaned.leftBytes, maxBytes },
    "the files of tasks that the server may still ask for take more than data_cleanup_max_size",
  );
}
