/** Runs what has the same name one after another. */
export interface OneAtATime {
  /** Whether anything of this name runs or waits. */
  has(name: string): boolean;
  /** Runs it once all that was to run under this name is over. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Makes one. */
export function createOneAtATime(): OneAtATime {
  const last = new Map<string, Promise<unknown>>();
  return {
    has: (name) => last.has(name),
    async run(name, work) {
      const mine = (last.get(name) ?? Promise.resolve()).then(work);
      const over = mine.catch(() => undefined);
      last.set(name, over);
      try {
        return await mine;
      } finally {
        if (last.get(name) === over) last.delete(name);
      }
    },
  };
}
