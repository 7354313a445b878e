import { joinSignals } from "@howdah/rpc/join-signals";

/**
 * What several sources tell, as it comes. They are given a signal that aborts with the caller's and when the caller takes no more; the first
 * error ends all.
 */
export async function* together<T>(
  sources: readonly ((signal: AbortSignal) => AsyncGenerator<T>)[],
  signal: AbortSignal,
): AsyncGenerator<T> {
  const over = new AbortController();
  const { signal: either, release } = joinSignals(signal, over.signal);
  const next = async (source: AsyncGenerator<T>) => ({ source, result: await source.next() });
  const open = new Map(
    sources.map((begin) => {
      const source = begin(either);
      return [source, next(source)];
    }),
  );
  try {
    while (open.size > 0) {
      const { source, result } = await Promise.race(open.values());
      if (result.done === true) {
        open.delete(source);
        continue;
      }
      open.set(source, next(source));
      yield result.value;
    }
  } finally {
    over.abort();
    release();
    await Promise.allSettled([
      ...open.values(),
      ...[...open.keys()].map((one) => one.return(undefined)),
    ]);
  }
}
