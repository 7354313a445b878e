import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endProcessesBelow } from "@howdah/launcher/find-processes";
import { withEnds } from "./ends.js";
import { type Load, readLoad } from "./machine.js";
import { type Bench, type BenchContext, type BenchResult, BenchSkipped } from "./measure.js";

/** What became of one benchmark. */
export interface Outcome {
  readonly name: string;
  readonly about: string;
  readonly startedAt: Date;
  readonly tookMs: number;
  readonly load: Load;
  /** What it found, unless it was skipped or failed. */
  readonly result?: BenchResult;
  /** Why it could not be run here. */
  readonly skipped?: string;
  /** Why it could not measure. */
  readonly failed?: string;
}

export interface RunOptions extends Omit<BenchContext, "after"> {
  /** How long one benchmark may take; longer is a failure, and the next one's turn. */
  readonly limitMs: number;
  /** How long one may take to end after its signal aborted, before its processes are ended. Default 30,000. */
  readonly graceMs?: number;
  /** How long the machine is watched before each. Default 1,000. */
  readonly watchMs?: number;
}

/**
 * Runs benchmarks one after the other and yields what became of each. When the signal aborts, the one that runs is the last. Whatever
 * they start and write below the folder for temporary files is gone at the end, and after each of them.
 */
export async function* runBenches(
  benches: readonly Bench[],
  options: RunOptions,
): AsyncGenerator<Outcome, void, undefined> {
  const usual = process.env.TMPDIR;
  const folder = await mkdtemp(join(tmpdir(), "howdah-bench-"));
  // Theirs and their processes': so that nothing can be left elsewhere.
  process.env.TMPDIR = folder;
  try {
    for (const bench of benches) {
      if (options.signal.aborted) return;
      yield await runBench(bench, options);
      await endProcessesBelow(folder);
    }
  } finally {
    if (usual === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = usual;
    await endProcessesBelow(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function runBench(bench: Bench, options: RunOptions): Promise<Outcome> {
  const { quick, log, limitMs, graceMs = 30_000, watchMs } = options;
  const startedAt = new Date();
  const began = performance.now();
  const limit = new AbortController();
  const signal = AbortSignal.any([options.signal, limit.signal]);
  const timer = setTimeout(() => {
    limit.abort(new Error(`it was not over after ${(limitMs / 1000).toFixed(0)} s`));
  }, limitMs);
  let load: Load = { average: Number.NaN, busyCores: Number.NaN };
  const outcome = (what: Pick<Outcome, "result" | "skipped" | "failed">): Outcome => ({
    ...{ name: bench.name, about: bench.about, startedAt, load, ...what },
    tookMs: performance.now() - began,
  });
  const settled = new AbortController();
  try {
    load = await readLoad(signal, watchMs);
    const measured = withEnds(({ after }) => bench.run({ quick, log, signal, after }), log);
    const late = tooLate(signal, graceMs, settled.signal);
    return outcome({ result: await Promise.race([measured, late]) });
  } catch (error) {
    if (error instanceof BenchSkipped) return outcome({ skipped: error.message });
    // What it makes of the abort is often less than why it was aborted.
    const cause: unknown = signal.aborted ? signal.reason : error;
    return outcome({ failed: cause instanceof Error ? cause.message : String(cause) });
  } finally {
    clearTimeout(timer);
    settled.abort();
  }
}

/** Rejects when a benchmark has had its time to end after the abort. */
async function tooLate(signal: AbortSignal, graceMs: number, settled: AbortSignal): Promise<never> {
  const both = AbortSignal.any([signal, settled]);
  if (!both.aborted) {
    await new Promise((resolve) => both.addEventListener("abort", resolve, { once: true }));
  }
  // Rejects when the benchmark is over: nobody listens any more.
  await sleep(graceMs, undefined, { signal: settled });
  throw new Error("it does not end");
}
