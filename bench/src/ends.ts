/** Somebody at whose end what was started for it is ended: a benchmark that runs, a test. */
export interface Ends {
  /** Has something done at the end; what was asked for last comes first. Asked for at once, it is done also when a start fails half-way. */
  after(end: () => unknown): void;
}

/**
 * Runs something and does what it has asked for at the end, each even when it or another has failed. Rejects with what failed first;
 * `log` is told of the others.
 */
export async function withEnds<T>(
  run: (ends: Ends) => Promise<T>,
  log: (line: string) => void,
): Promise<T> {
  const ends: (() => unknown)[] = [];
  const failures: unknown[] = [];
  const attempt = async <R>(step: () => R) => {
    try {
      return await step();
    } catch (error) {
      failures.push(error);
      return undefined;
    }
  };
  const result = await attempt(() => run({ after: (end) => ends.unshift(end) }));
  for (const end of ends) await attempt(end);
  for (const error of failures.slice(1)) log(`at the end: ${error}`);
  if (failures.length > 0) throw failures[0];
  return result as T;
}
