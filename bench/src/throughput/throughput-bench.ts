import type { Bench, BenchContext, BenchResult } from "../measure.js";
import { median, spread } from "../statistics.js";
import { startBenchSystem } from "../system/bench-system.js";
import { runTasks, throughputHosts } from "./run-tasks.js";

/** Durable tasks a second, beside the two halves of the work done bare. */
export const throughputBench: Bench = {
  name: "throughput",
  about: "durable tasks a second from submit to terminal in MySQL, 200 simulated agents",
  async run(context) {
    const system = await startBenchSystem(context);
    try {
      await system.playHosts(throughputHosts, "--duration", "0ms");
      return await measure(context, system);
    } finally {
      await system.stop();
    }
  },
};

async function measure(
  context: BenchContext,
  system: Awaited<ReturnType<typeof startBenchSystem>>,
): Promise<BenchResult> {
  const { quick, log } = context;
  const tasks = quick ? 5_000 : 100_000;
  await runTasks(system, { tasks: 2_000 }, context);
  const rates: number[] = [];
  for (let n = 0; n < (quick ? 3 : 2); n += 1) {
    const { tasksPerSecond } = await runTasks(system, { tasks }, context);
    log(`${Math.round(tasksPerSecond)} tasks a second`);
    rates.push(tasksPerSecond);
  }
  return {
    measures: [{ what: "tasks", unit: "a second", value: median(rates), note: spread(rates, 0) }],
    notes: [],
  };
}
