/**
 * Does work that has only so much time.
 * @throws what the work throws, the signal's reason when that aborts, an Error with the words of `late` when the time is over
 */
export async function within<T>(
  ms: number,
  late: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error(`${late} within ${ms / 1_000} s`)), ms);
  const give = () => over.abort(signal.reason);
  signal.addEventListener("abort", give, { once: true });
  try {
    return await work(over.signal);
  } catch (error) {
    // What is stopped says other things than why.
    throw over.signal.aborted ? over.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", give);
    // Whatever of the work goes on is over too.
    over.abort(new Error("it is over"));
  }
}
