/** The value below which a share of them lies: 0.5 the median, 0.99 the 99th percentile. NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** The one in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The quarter and three quarter points, as a table's note shows them. */
export function spread(values: readonly number[], digits = 1): string {
  const [low, high] = [0.25, 0.75].map((share) => percentile(values, share).toFixed(digits));
  return `${low} to ${high}`;
}

/** The rate of who does one after the other, each at its own rate. */
export function serial(...rates: readonly number[]): number {
  return 1 / rates.reduce((sum, rate) => sum + 1 / rate, 0);
}

/**
 * The median of the ratios of what was measured in pairs, one right after the other: what slows the machine for a while slows both, and
 * stays out of the ratio.
 */
export function pairedRatio(values: readonly number[], floors: readonly number[]): number {
  return median(values.map((value, at) => value / (floors[at] ?? Number.NaN)));
}
