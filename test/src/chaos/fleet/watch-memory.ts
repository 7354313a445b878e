import { readFileSync } from "node:fs";
import type { Part } from "./part.js";

/** What a process of ours may take at most; each needs a fifth of it. */
const mostMiB = 512;
const everyMs = 1_000;

/** How much memory processes take. */
export interface MemoryWatch {
  /** The processes that took too much, in a line each. */
  readonly excesses: readonly string[];
  /** The most that one process of a kind took, in MiB. */
  readonly peaks: ReadonlyMap<string, number>;
  stop(): void;
}

/** Looks again and again how much memory the processes of the parts take. */
export function watchMemory(parts: readonly Part[], log: (line: string) => void): MemoryWatch {
  const excesses: string[] = [];
  const peaks = new Map<string, number>();
  const told = new Set<number>();
  const timer = setInterval(() => {
    for (const { name, kind, pid } of parts) {
      const taken = pid === undefined ? undefined : residentMiB(pid);
      if (pid === undefined || taken === undefined) continue;
      peaks.set(kind, Math.max(taken, peaks.get(kind) ?? 0));
      if (taken <= mostMiB || told.has(pid)) continue;
      told.add(pid);
      const text = `${name} (process ${pid}) takes ${taken} MiB, at most ${mostMiB} are right`;
      excesses.push(text);
      log(text);
    }
  }, everyMs);
  return { excesses, peaks, stop: () => clearInterval(timer) };
}

function residentMiB(pid: number): number | undefined {
  try {
    const [, kiB] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return kiB === undefined ? undefined : Math.round(Number(kiB) / 1_024);
  } catch {
    return undefined; // it has ended meanwhile
  }
}
