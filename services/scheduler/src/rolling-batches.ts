import type { Rolling } from "@howdah/proto/howdah/v1/operation";
import { batchSize } from "@howdah/state/batch-size";
import { invalidArgument } from "./invalid-argument.js";

/** The highest place of a batch that the store takes. */
const lastBatch = 32_767;

/**
 * In which batch of a stage each of its hosts is, from 0: the canary ones first, then batches of the size asked for, or of so many
 * percent of all its hosts, rounded up; without a size all others at once. Hosts follow each other by name. A host that is not in the
 * answer is in the first one: all are when the request is not rolling.
 * @throws ConnectError INVALID_ARGUMENT when there are more batches than can be stored
 */
export function batchesOf(
  hosts: Iterable<string>,
  rolling: Rolling | undefined,
): ReadonlyMap<string, number> {
  if (rolling === undefined) return new Map();
  const names = [...new Set(hosts)].sort();
  const canary = Math.min(rolling.canary, names.length);
  const size = batchSize(rolling.batch, names.length);
  const first = canary > 0 ? 1 : 0;
  const batches = new Map<string, number>();
  for (const [at, name] of names.entries()) {
    batches.set(name, at < canary ? 0 : first + Math.floor((at - canary) / size));
  }
  const last = batches.get(names.at(-1) ?? "") ?? 0;
  if (last <= lastBatch) return batches;
  throw invalidArgument(
    "options.rolling",
    `makes ${last + 1} batches of ${names.length} hosts; at most ${lastBatch + 1} are allowed, raise the size`,
  );
}
