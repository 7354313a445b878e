/** On how many hosts of a cluster a component may be. */
export interface Cardinality {
  readonly min: number;
  /** Infinity for no limit. */
  readonly max: number;
  /** On every host of the cluster. */
  readonly all: boolean;
}

/**
 * Reads Ambari's `N`, `N+`, `N-M` or `ALL`; an empty text means `0+`.
 * Undefined for a text that is none of these.
 */
export function parseCardinality(text: string): Cardinality | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return { min: 0, max: Infinity, all: false };
  if (trimmed.toUpperCase() === "ALL") return { min: 0, max: Infinity, all: true };
  const match = /^(\d{1,6})(?:(\+)|-(\d{1,6}))?$/.exec(trimmed);
  if (match === null) return undefined;
  const min = Number(match[1]);
  const max = match[2] !== undefined ? Infinity : Number(match[3] ?? match[1]);
  return min <= max ? { min, max, all: false } : undefined;
}

/** What is wrong with a component on `count` of a cluster's `hosts` hosts; undefined when nothing is. */
export function checkCardinality(
  cardinality: Cardinality,
  count: number,
  hosts: number,
): string | undefined {
  const { min, max, all } = cardinality;
  const is = `is on ${hostCount(count)}`;
  if (all) return count === hosts ? undefined : `${is}, must be on all ${hosts} of the cluster`;
  if (count < min) return `${is}, needs ${min === max ? "" : "at least "}${hostCount(min)}`;
  if (count > max) return `${is}, may be on ${min === max ? "" : "at most "}${hostCount(max)}`;
  return undefined;
}

function hostCount(count: number): string {
  return count === 1 ? "1 host" : `${count} hosts`;
}
