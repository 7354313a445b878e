import type { AgentStream } from "./agent-stream.js";

/** The agents' streams that are open, for who ends them and waits until the last has ended. */
export class OpenStreams {
  readonly #open = new Set<AgentStream>();
  readonly #waiters = new Set<() => void>();

  /** The streams without a session. */
  unregistered(): AgentStream[] {
    return [...this.#open].filter(({ registered }) => !registered);
  }

  add(stream: AgentStream): void {
    this.#open.add(stream);
  }

  delete(stream: AgentStream): void {
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
