/** Lets a bounded number of pieces of work go on at a time. */
export interface UploadSlots {
  /**
   * Runs `work` when there is room, in the order of the calls; those that are `urgent` before the others. Rejects once closed, unless
   * the work has begun.
   */
  run<T>(work: () => Promise<T>, urgent: boolean): Promise<T>;
  /** Whoever waits is rejected. */
  close(): void;
}

interface Waiter {
  go(): void;
  give(): void;
}

/** Makes `count` slots. */
export function createUploadSlots(count: number): UploadSlots {
  const urgents: Waiter[] = [];
  const others: Waiter[] = [];
  let free = count;
  let closed = false;

  function next(): void {
    const waiter = urgents.shift() ?? others.shift();
    if (waiter === undefined) free += 1;
    else waiter.go();
  }

  return {
    async run(work, urgent) {
      if (closed) throw new Error("the session is over");
      if (free > 0) free -= 1;
      else {
        await new Promise<void>((go, reject) => {
          const give = () => reject(new Error("the session is over"));
          (urgent ? urgents : others).push({ go, give });
        });
      }
      try {
        return await work();
      } finally {
        next();
      }
    },
    close() {
      closed = true;
      for (const { give } of [...urgents.splice(0), ...others.splice(0)]) give();
    },
  };
}
