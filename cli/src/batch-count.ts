import type { Rolling } from "@howdah/proto/howdah/v1/operation";

/**
 * In how many batches so many hosts of a stage go, as the scheduler forms them: the canary ones, then batches of the size asked for, or of
 * so many percent of all of them, rounded up; without a size all others at once. Undefined for options without batches.
 */
export function batchCount(rolling: Rolling | undefined, hosts: number): number | undefined {
  if (rolling === undefined) return undefined;
  const { batch } = rolling;
  if (batch.case === undefined && rolling.canary === 0) return undefined;
  const canary = Math.min(rolling.canary, hosts);
  return (canary > 0 ? 1 : 0) + Math.ceil((hosts - canary) / sizeOf(batch, hosts));
}

function sizeOf(batch: Rolling["batch"], hosts: number): number {
  if (batch.case === "batchSize") return Math.max(1, batch.value);
  const percent = batch.case === "batchPercent" ? batch.value : 100;
  return Math.max(1, Math.ceil((percent * hosts) / 100));
}
