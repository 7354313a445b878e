import { execFile } from "node:child_process";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What the figures were taken on: one line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  return `${availableParallelism()} cores (${model}), ${gib} GiB, Linux ${release()}, Node ${process.version}`;
}

/** What was measured: a commit, and whether the files were those of it. */
export interface Commit {
  /** Abbreviated; "unknown" outside a Git repository. */
  readonly id: string;
  readonly dirty: boolean;
}

/** The commit that is checked out, by `git`. `ignored`: a file whose change does not count, such as the one results are written to. */
export async function checkedOut(folder: string, ignored: string): Promise<Commit> {
  const git = async (...args: string[]) => (await run("git", ["-C", folder, ...args])).stdout;
  try {
    const id = (await git("rev-parse", "--short=10", "HEAD")).trim();
    const changes = await git("status", "--porcelain", "--", ".", `:(exclude)${ignored}`);
    return { id, dirty: changes !== "" };
  } catch {
    return { id: "unknown", dirty: false };
  }
}

/** What else the machine had to do when a benchmark began. */
export interface Load {
  /** The load average of the last minute; what this program itself did before is in it. */
  readonly average: number;
  /** How many cores were busy in the second before it, this program being idle. */
  readonly busyCores: number;
}

/** Watches the machine for a second. */
export async function readLoad(signal: AbortSignal, watchMs = 1_000): Promise<Load> {
  const before = busyMs();
  const began = performance.now();
  await sleep(watchMs, undefined, { signal });
  const busyCores = (busyMs() - before) / (performance.now() - began);
  return { average: loadavg()[0] ?? Number.NaN, busyCores };
}

function busyMs(): number {
  return cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
}

/** Whether others had so much to do that the figures suffer: a quarter of a core and more. */
export function isLoaded({ busyCores }: Load): boolean {
  return busyCores >= 0.25;
}

/** "load 1.2, 0.3 cores busy". */
export function loadText({ average, busyCores }: Load): string {
  return `load ${average.toFixed(1)}, ${busyCores.toFixed(1)} cores busy`;
}
