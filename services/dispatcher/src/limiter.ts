/** Lets a bounded number of things happen at once. */
export interface Limiter {
  /**
   * Runs `work` as soon as there is room, first come, first served. Rejects with the signal's reason when it aborts before
   * the turn has come; from then on the work is not cut short.
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** The same for what is no function: resolves when there is room with what gives the place back, once. Rejects as `run` does. */
  enter(signal: AbortSignal): Promise<() => void>;
  /** How many wait for their turn. */
  readonly waiting: number;
}

/** Makes a limiter of `max` things at once. */
export function createLimiter(max: number): Limiter {
  const waiters = new Set<() => void>();
  let running = 0;

  function turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = () => {
        waiters.delete(go);
        reject(signal.reason);
      };
      const go = () => {
        signal.removeEventListener("abort", gone);
        resolve();
      };
      signal.addEventListener("abort", gone);
      waiters.add(go);
    });
  }

  function leave(): void {
    const [next] = waiters;
    if (next === undefined) {
      running -= 1;
    } else {
      waiters.delete(next);
      next();
    }
  }

  async function enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    // Who is woken takes over the place of who has ended: `running` stays as it is.
    if (running >= max) await turn(signal);
    else running += 1;
    let left = false;
    return () => {
      if (!left) leave();
      left = true;
    };
  }

  return {
    enter,
    async run(work, signal) {
      const done = await enter(signal);
      try {
        return await work();
      } finally {
        done();
      }
    },
    get waiting() {
      return waiters.size;
    },
  };
}
