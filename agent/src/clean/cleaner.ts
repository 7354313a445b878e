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

/** Cleans data/ and cache/ now and then every interval. What goes wrong is logged, and tried again with the next pass. */
export function startCleaner(options: CleanerOptions): { close(): Promise<void> } {
  const { settings, log } = options;
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let pass = Promise.resolve();

  function next(): void {
    pass = clean(options, stopping.signal).catch((error: unknown) => {
      if (!stopping.signal.aborted) log.warn({ err: error }, "old files could not be cleaned");
    });
    timer = setTimeout(next, settings.intervalMs);
    timer.unref();
  }

  if (settings.intervalMs > 0) next();
  return {
    close: () => {
      clearTimeout(timer);
      stopping.abort(new Error("the agent stops"));
      return pass;
    },
  };
}

async function clean(options: CleanerOptions, signal: AbortSignal): Promise<void> {
  const { folders, journal, marks, log, settings } = options;
  const { dataMaxAgeMs: maxAgeMs, dataMaxBytes: maxBytes } = settings;
  const data = await cleanData({ folders, journal, log, maxAgeMs, maxBytes }, signal);
  if (data.removed > 0) log.info({ ...data }, "old files of tasks were removed");
  if (data.leftBytes > maxBytes) {
    log.warn(
      { bytes: data.leftBytes, maxBytes },
      "the files of tasks that the server may still ask for take more than data_cleanup_max_size",
    );
  }
  const inUse = digestsInUse(folders, journal);
  const pruned = await pruneCache(
    { folders, marks, maxAgeMs: settings.cacheMaxAgeMs, inUse },
    signal,
  );
  if (pruned.length > 0) log.info({ digests: pruned }, "packages that nobody named were removed");
}
