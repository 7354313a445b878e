/** Does the work of a name once for all who ask for it at the same time. */
export type SharedWork = (
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
) => Promise<void>;

interface UnderWay {
  readonly done: Promise<void>;
  readonly stop: AbortController;
  callers: number;
}

/** Makes what shares work. Who gives up stops waiting; the work stops when nobody waits for it any more. */
export function createSharedWork(): SharedWork {
  const underWay = new Map<string, UnderWay>();

  function begin(name: string, work: (signal: AbortSignal) => Promise<void>): UnderWay {
    const stop = new AbortController();
    const begun: UnderWay = { done: work(stop.signal), stop, callers: 0 };
    underWay.set(name, begun);
    const end = () => {
      if (underWay.get(name) === begun) underWay.delete(name);
    };
    begun.done.then(end, end);
    return begun;
  }

  return async (name, signal, work) => {
    signal.throwIfAborted();
    const shared = underWay.get(name) ?? begin(name, work);
    shared.callers += 1;
    let give = () => {};
    const givenUp = new Promise<never>((_, reject) => {
      give = () => reject(signal.reason);
      signal.addEventListener("abort", give, { once: true });
    });
    try {
      await Promise.race([shared.done, givenUp]);
    } finally {
      signal.removeEventListener("abort", give);
      shared.callers -= 1;
      if (shared.callers === 0) {
        // Whoever comes from here on begins anew.
        if (underWay.get(name) === shared) underWay.delete(name);
        shared.stop.abort(new Error("nobody waits for it any more"));
      }
    }
  };
}
