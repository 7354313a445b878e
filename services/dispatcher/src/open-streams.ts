import type { Outbox } from "./outbox.js";

/** An agent's stream, as far as who ends it must know it. */
export interface OpenStream {
  readonly outbox: Outbox;
  /** Whether it has a session. */
  readonly registered: boolean;
}

/** The agents' streams that are open, for who ends them and waits until the last has ended. */
export class OpenStreams {
  readonly #open = new Set<OpenStream>();
  readonly #waiters = new Set<() => void>();

  /** The streams without a session. */
  unregistered(): OpenStream[] {
    return [...this.#open].filter(({ registered }) => !registered);
  }

  add(stream: OpenStream): void {
    this.#open.add(stream);
  }

  delete(stream: OpenStream): void {
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
