import { setTimeout as sleep } from "node:timers/promises";

/** How long something is waited for. */
export interface Patience {
  readonly signal: AbortSignal;
  readonly mostMs: number;
  /** Between two looks. Default 20. */
  readonly everyMs?: number;
}

/** Thrown when what is waited for has not come in time; its message says for how long it was waited for, and for what. */
export class TookTooLong extends Error {
  override readonly name = "TookTooLong";
}

/**
 * Looks again and again until there is something to see, and resolves with it. Rejects with `TookTooLong` when there is nothing after
 * `mostMs`, when the signal aborts, and with what `look` throws, such as that it will never come.
 * @param what is waited for; a function when it is to say how far it has come
 */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string | (() => string),
  { signal, mostMs, everyMs = 20 }: Patience,
): Promise<T> {
  for (const deadline = performance.now() + mostMs; ; ) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) {
      const told = typeof what === "string" ? what : what();
      throw new TookTooLong(`waited ${mostMs / 1_000} s for ${told}`);
    }
    await sleep(everyMs, undefined, { signal });
  }
}
