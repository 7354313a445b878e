import type { Ends } from "./ends.js";

/** One line of a benchmark's table. */
export interface Measure {
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  /** What it must not exceed, or must reach; none: it is only told. */
  readonly target?: { readonly most: number } | { readonly least: number };
  /** The same work done by the simplest program that does it, in the same run. */
  readonly floor?: number;
  /** How it spread, or what else must be known to read it; short. */
  readonly note?: string;
}

/** What a benchmark is given. */
export interface BenchContext extends Ends {
  /** Smaller and shorter: for a first look, not for the record. */
  readonly quick: boolean;
  /** Told what goes on, a line each. */
  readonly log: (line: string) => void;
  /** Aborts when the run is interrupted. */
  readonly signal: AbortSignal;
}

/** What a benchmark found. */
export interface BenchResult {
  readonly measures: readonly Measure[];
  /** Lines below the table: what was measured, and how. */
  readonly notes: readonly string[];
}

/** One benchmark; `npm run bench -- NAME` runs it. */
export interface Bench {
  readonly name: string;
  /** One line for `--list`. */
  readonly about: string;
  /**
   * Rejects when it could not measure, with `BenchSkipped` when it cannot be run here. A target that is missed is no error: the table
   * says so. It ends soon after the signal aborts, and leaves nothing running and no file but what `after` was told of.
   */
  run(context: BenchContext): Promise<BenchResult>;
}

/** Thrown when a benchmark cannot be run here, such as for want of another's program; its message, the reason, is told and is no failure. */
export class BenchSkipped extends Error {
  override readonly name = "BenchSkipped";
}

/** Whether a measure meets its target; undefined when it has none. */
export function meets({ value, target }: Measure): boolean | undefined {
  if (target === undefined) return undefined;
  return "most" in target ? value <= target.most : value >= target.least;
}
