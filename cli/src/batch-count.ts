import type { Rolling } from "@howdah/proto/howdah/v1/operation";
import { batchSize } from "@howdah/state/batch-size";

/**
 * In how many batches so many hosts of a stage go, as the scheduler forms them: the canary ones, then batches of the size asked for, or of
 * so many percent of all of them, rounded up; without a size all others at once. Undefined for options without batches.
 */
export function batchCount(rolling: Rolling | undefined, hosts: number): number | undefined {
  if (rolling === undefined) return undefined;
  const { batch } = rolling;
  if (batch.case === undefined && rolling.canary === 0) return undefined;
  const canary = Math.min(rolling.canary, hosts);
  return (canary > 0 ? 1 : 0) + Math.ceil((hosts - canary) / batchSize(batch, hosts));
}
