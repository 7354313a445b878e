/** Puts a member in the set of a key; what is returned takes it out again. */
export function join<K, M>(sets: Map<K, Set<M>>, key: K, member: M): () => void {
  const set = sets.get(key) ?? new Set<M>();
  set.add(member);
  sets.set(key, set);
  return () => {
    set.delete(member);
    if (set.size === 0 && sets.get(key) === set) sets.delete(key);
  };
}

/** Resolves once what `waits` is given has been called, or the signal, which has not aborted yet, aborts. */
export function untilWoken(signal: AbortSignal, waits: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      signal.removeEventListener("abort", wake);
      resolve();
    };
    signal.addEventListener("abort", wake);
    waits(wake);
  });
}
