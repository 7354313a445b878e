import type { Measure } from "../measure.js";
import { median, spread } from "../statistics.js";

/**
 * How much longer more hosts take than fewer, from one size to the next: the median of the rounds' ratios. Must be no more than how many times
 * the hosts they are.
 * @param times by the number of hosts, round by round
 * @param sizes in ascending order
 */
export function growthOf(
  times: ReadonlyMap<number, readonly number[]>,
  sizes: readonly number[],
): Measure[] {
  return sizes.slice(1).map((size, at) => {
    const fewer = sizes[at] ?? 0;
    const before = times.get(fewer) ?? [];
    const ratios = (times.get(size) ?? []).map((time, round) => time / (before[round] ?? 0));
    return {
      ...{ what: `time of ${size} by ${fewer} hosts`, unit: "", value: median(ratios) },
      target: { most: size / fewer },
      note: spread(ratios),
    };
  });
}
