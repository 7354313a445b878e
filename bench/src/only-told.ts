import type { BenchResult } from "./measure.js";
import { TookTooLong } from "./until.js";

/**
 * Measures what has no target, so that it does not cost a benchmark its other figures when it takes too long: that is a note then.
 * Rejects with whatever else goes wrong.
 * @param what is measured; the note begins with it
 */
export async function onlyTold(
  what: string,
  run: () => Promise<BenchResult>,
): Promise<BenchResult> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof TookTooLong)) throw error;
    return { measures: [], notes: [`${what} is not measured: ${error.message}.`] };
  }
}
