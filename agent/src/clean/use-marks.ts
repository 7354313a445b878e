import { statSync, utimesSync } from "node:fs";

/** When packages and documents were last used, also across restarts of the agent. */
export interface UseMarks {
  /** This path is used now, whether it is there yet or not. */
  mark(path: string): void;
  /** For how long a path that is there has not been used. */
  idleMs(path: string): number;
  /** This path is gone. */
  forget(path: string): void;
}

/** A mark on the disk is renewed no more often. */
const diskStepMs = 3_600_000;

/**
 * Makes marks. On the disk the mark is the time of last change of the folder or file, which nothing else changes once it is there.
 * @param now the wall clock; tests set it
 */
export function createUseMarks(now: () => number = Date.now): UseMarks {
  const usedAtMs = new Map<string, number>();

  function onDiskMs(path: string): number | undefined {
    return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  }

  return {
    mark(path) {
      usedAtMs.set(path, now());
      const marked = onDiskMs(path);
      if (marked === undefined || Math.abs(now() - marked) < diskStepMs) return;
      try {
        utimesSync(path, now() / 1_000, now() / 1_000);
      } catch (error) {
        // Not ours, or on a disk that has become read-only: then it cannot be removed either.
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "EPERM" && code !== "EROFS" && code !== "ENOENT") throw error;
      }
    },
    idleMs(path) {
      return now() - Math.max(usedAtMs.get(path) ?? 0, onDiskMs(path) ?? now());
    },
    forget: (path) => void usedAtMs.delete(path),
  };
}
