import { type FSWatcher, watch } from "node:fs";
import type { Logger } from "pino";

/** Tells of files that change in a folder. */
export interface OutputWatch {
  /** Calls `changed` whenever the file of that name is made or written; returns what ends that. */
  follow(file: string, changed: () => void): () => void;
  close(): void;
}

/**
 * Watches a folder while anybody follows one of its files. The folder, not the files: those of a command may not be there yet. Where
 * the kernel has no watch left, nothing is told.
 */
export function createOutputWatch(folder: string, log: Logger): OutputWatch {
  const followers = new Map<string, () => void>();
  let watcher: FSWatcher | undefined;

  function open(): void {
    const failed = (error: unknown) => {
      watcher?.close();
      watcher = undefined;
      log.warn({ err: error, folder }, "output is uploaded only when its command ends");
    };
    try {
      watcher = watch(folder, (_event, file) => {
        if (file !== null) followers.get(file)?.();
        else for (const changed of followers.values()) changed();
      });
      watcher.on("error", failed);
    } catch (error) {
      failed(error);
    }
  }

  function close(): void {
    watcher?.close();
    watcher = undefined;
  }

  return {
    follow(file, changed) {
      followers.set(file, changed);
      if (watcher === undefined) open();
      return () => {
        if (followers.get(file) === changed) followers.delete(file);
        if (followers.size === 0) close();
      };
    },
    close() {
      followers.clear();
      close();
    },
  };
}
