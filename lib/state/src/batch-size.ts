import type { Rolling } from "@howdah/proto/howdah/v1/operation";

/**
 * How many of a stage's hosts a batch of a rolling operation has: the size asked for, or so many percent of all hosts of the stage, rounded
 * up; without a size all of them. At least 1.
 */
export function batchSize(batch: Rolling["batch"], hosts: number): number {
  if (batch.case === "batchSize") return Math.max(1, batch.value);
  const percent = batch.case === "batchPercent" ? batch.value : 100;
  return Math.max(1, Math.ceil((percent * hosts) / 100));
}
