import { hostRange } from "@howdah/simulator/host-name";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { median, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { growthOf } from "./growth.js";

/** How many hosts one command goes to. */
const sizes = [50, 500, 5_000] as const;
const quickSizes = [50, 500] as const;

/** The most that 5,000 hosts may take, in ms. */
const mostMs = 3_000;

/** One command on more and more hosts: it must take no more time a host the more there are. */
export const fanoutBench: Bench = {
  name: "fanout",
  about: "one ad-hoc command on 50, 500 and 5,000 simulated hosts, until all are terminal",
  run: async (context) => measure(context, await startBenchSystem(context)),
};

async function measure(context: BenchContext, system: BenchSystem): Promise<BenchResult> {
  const { quick, log, signal } = context;
  const used = quick ? quickSizes : sizes;
  const most = Math.max(...used);
  log(`${most} hosts connect`);
  await system.playHosts(most, "--duration", "0ms");
  const times = new Map<number, number[]>(used.map((size) => [size, []]));
  const rounds = quick ? 5 : 9;
  // The first round compiles what has not run yet. All sizes in turn: what slows the machine for a while slows each.
  for (let round = 0; round <= rounds; round += 1) {
    for (const size of used) {
      signal.throwIfAborted();
      const took = await fanOut(system, size);
      if (round > 0) times.get(size)?.push(took);
    }
    log(`round ${round} of ${rounds}: ${used.map((size) => lastOf(times, size)).join(", ")}`);
  }
  return {
    measures: [...used.map((size) => timeOf(times, size)), ...growthOf(times, used)],
    notes: [
      "Time: from the call of SubmitRequest, at the scheduler as the gateway makes it, until WatchRequest has told that the request is over, which it is once the last result is committed. A host's command takes no time (--duration 0ms).",
      `${most} hosts are connected all the time, each with a connection of its own, played by one process.`,
    ],
  };
}

function lastOf(times: ReadonlyMap<number, readonly number[]>, size: number): string {
  const last = times.get(size)?.at(-1);
  return `${size} hosts ${last === undefined ? "not counted" : `${last.toFixed(0)} ms`}`;
}

/** Runs a command on so many hosts, and tells how long it took until all were terminal. */
async function fanOut({ submitLine, over }: BenchSystem, size: number): Promise<number> {
  const began = performance.now();
  const requestId = await submitLine(hostRange("sim", size));
  const { counts } = await over(requestId, 120_000);
  const took = performance.now() - began;
  const { total = 0, completed = 0 } = counts ?? {};
  if (total !== size || completed !== size) {
    throw new Error(`request ${requestId}: ${completed} of ${total} completed, not ${size}`);
  }
  return took;
}

function timeOf(times: ReadonlyMap<number, readonly number[]>, size: number): Measure {
  const all = times.get(size) ?? [];
  return {
    ...{ what: `${size.toLocaleString("en")} hosts`, unit: "ms", value: median(all) },
    ...(size === 5_000 && { target: { most: mostMs } }),
    note: `${all.length} times, ${spread(all, 0)}`,
  };
}
