/** The agents' streams that are open, for who waits until the last has ended. */
export class OpenStreams {
  readonly #open = new Set<object>();
  readonly #waiters = new Set<() => void>();

  get size(): number {
    return this.#open.size;
  }

  add(stream: object): void {
    this.#open.add(stream);
  }

  delete(stream: object): void {
    this.#open.delete(stream);
    if (this.#open.size === 0) for (const wake of this.#waiters) wake();
  }

  /** Resolves when none is open, or the signal aborts. */
  async none(signal: AbortSignal): Promise<void> {
    if (this.#open.size === 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiters.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
