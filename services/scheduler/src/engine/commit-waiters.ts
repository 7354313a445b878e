type Waiter = (error?: Error) => void;

/** Who waits until something of a request is committed. */
export class CommitWaiters<K> {
  private readonly waiters = new Map<K, Set<Waiter>>();
  private failure: Error | undefined;

  /** Resolves when it is; rejects with the signal's reason, or when nothing will be committed any more. */
  wait(key: K, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.waiters.get(key) ?? new Set();
      const left = () => waiter(signal.reason);
      const waiter: Waiter = (error) => {
        signal.removeEventListener("abort", left);
        waiters.delete(waiter);
        if (waiters.size === 0) this.waiters.delete(key);
        if (error === undefined) resolve();
        else reject(error);
      };
      if (signal.aborted) return left();
      if (this.failure !== undefined) return waiter(this.failure);
      signal.addEventListener("abort", left);
      this.waiters.set(key, waiters.add(waiter));
    });
  }

  /** It is committed. */
  committed(key: K): void {
    for (const waiter of [...(this.waiters.get(key) ?? [])]) waiter();
  }

  /** It cannot be committed for now. */
  refused(key: K, error: Error): void {
    for (const waiter of [...(this.waiters.get(key) ?? [])]) waiter(error);
  }

  /** Nothing will be committed any more. */
  fail(error: Error): void {
    this.failure = error;
    for (const waiters of [...this.waiters.values()]) {
      for (const waiter of [...waiters]) waiter(error);
    }
  }
}
