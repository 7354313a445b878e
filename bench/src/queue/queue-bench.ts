import type { Bench, BenchContext, BenchResult } from "../measure.js";
import { median, pairedRatio, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { runTasks, throughputHosts } from "../throughput/run-tasks.js";
import { type BullQueue, startBullQueue } from "./bull-queue.js";
import { type Redis, startRedis } from "./redis.js";

/** BullMQ's jobs that run at a time: as many as there are hosts; 50 to 800 made no difference that could be told. */
const concurrency = throughputHosts;
/** As ours are asked for: bulks of as many as a request has tasks, as many side by side, of as many bytes. */
const shape = { bytes: 1_024, bulk: throughputHosts, producers: 4 };

/** The same tasks a second as `throughput`, beside BullMQ on Redis. */
export const queueBench: Bench = {
  name: "queue",
  about: "tasks a second beside BullMQ on Redis, which syncs every write too",
  async run(context) {
    // First, since without it there is nothing to measure.
    const redis = await startRedis(context);
    const system = await startBenchSystem(context);
    await system.playHosts(throughputHosts, "--duration", "0ms");
    const queue = await startBullQueue(context, redis.port, concurrency);
    return measure(context, system, queue, redis);
  },
};

async function measure(
  context: BenchContext,
  system: BenchSystem,
  queue: BullQueue,
  redis: Redis,
): Promise<BenchResult> {
  const { quick, log, signal } = context;
  const tasks = quick ? 4_000 : 50_000;
  const rounds = quick ? 3 : 4;
  const ours: number[] = [];
  const theirs: number[] = [];
  await runTasks(system, { tasks: 8_000 }, context);
  await queue.jobs(8_000, shape);
  for (let round = 1; round <= rounds; round += 1) {
    ours.push((await runTasks(system, { tasks }, context)).tasksPerSecond);
    theirs.push(await queue.jobs(tasks, shape));
    signal.throwIfAborted();
    log(`ours ${Math.round(ours.at(-1) ?? 0)}, BullMQ ${Math.round(theirs.at(-1) ?? 0)}`);
  }
  return {
    measures: [
      {
        ...{ what: "tasks", unit: "a second", value: median(ours), floor: median(theirs) },
        note: `${spread(ours, 0)}; BullMQ ${spread(theirs, 0)}`,
      },
      {
        ...{ what: "ratio to BullMQ, by pairs", unit: "", value: pairedRatio(ours, theirs) },
        target: { least: 0.7 },
        note: "stretch 1.0",
      },
    ],
    notes: [
      `Ours: as in throughput, ${tasks.toLocaleString("en")} tasks in each of ${rounds} runs. BullMQ on Redis ${redis.version} with appendfsync always: as many jobs of 1 KiB, added ${shape.bulk} at a time by ${shape.producers} side by side, run by a worker in a process of its own, ${concurrency} at a time, that does nothing; from the first bulk until all are completed, and kept. Ours carries agents, stages and MySQL, theirs none.`,
    ],
  };
}
