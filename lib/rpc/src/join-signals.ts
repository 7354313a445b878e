/**
 * A signal that aborts with the first of these, for its reason. `release` lets go of them: to be called once nobody needs the signal.
 * `AbortSignal.any` has no such end: what Node 20 makes of it is kept for as long as any of the signals lives, which may be the process.
 */
export function joinSignals(...signals: readonly AbortSignal[]): {
  readonly signal: AbortSignal;
  release(): void;
} {
  const joined = new AbortController();
  const release = () => {
    for (const each of signals) each.removeEventListener("abort", abort);
  };
  const abort = (event: Pick<Event, "target">) => {
    release();
    joined.abort((event.target as AbortSignal).reason);
  };
  const aborted = signals.find((each) => each.aborted);
  if (aborted !== undefined) abort({ target: aborted });
  else for (const each of signals) each.addEventListener("abort", abort);
  return { signal: joined.signal, release };
}
