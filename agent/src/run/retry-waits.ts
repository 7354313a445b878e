/** What is left of a command's time for further tries, and how long the last wait was. */
export interface RetryBudget {
  readonly leftMs: number;
  readonly delayMs: number;
}

/** Before the first try. */
export function retryBudget(retryMs: number): RetryBudget {
  return { leftMs: retryMs, delayMs: 1_000 };
}

/**
 * The wait before the next try after one that took so long: 2, 4, 8 … seconds, the last one cut to what is left. A try costs the whole
 * seconds that it took. Undefined when nothing is left.
 */
export function afterTry(
  { leftMs, delayMs }: RetryBudget,
  tookMs: number,
): RetryBudget | undefined {
  const rest = leftMs - Math.max(0, Math.floor(tookMs / 1_000) * 1_000);
  if (rest <= 0) return undefined;
  const wait = Math.min(delayMs * 2, rest);
  return { leftMs: rest - wait, delayMs: wait };
}
