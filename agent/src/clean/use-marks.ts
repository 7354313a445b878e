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
 * Makes marks. On the disk the mark is the time of last change of the folder or file, which nothing else changes once it is there. What
 * this process has marked is counted by a clock that nobody sets.
 * @param wall the wall clock, `steady` the other; tests set them
 */
export function createUseMarks(
  wall: () => number = () => Date.now(),
  steady: () => number = () => performance.now(),
): UseMarks {
  const usedAt = new Map<string, number>();

  function onDiskMs(path: string): number | undefined {
    return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  }

  return {
    mark(path) {
      usedAt.set(path, steady());
      const marked = onDiskMs(path);
      if (marked === undefined || Math.abs(wall() - marked) < diskStepMs) return;
      try {
        utimesSync(path, wall() / 1_000, wall() / 1_000);
      } catch (error) {
        // Not ours, or on a disk that has become read-only: then it cannot be removed either.
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "EPERM" && code !== "EROFS" && code !== "ENOENT") throw error;
      }
    },
    idleMs(path) {
      const used = usedAt.get(path);
      return used === undefined ? wall() - (onDiskMs(path) ?? wall()) : steady() - used;
    },
    forget: (path) => void usedAt.delete(path),
  };
}
