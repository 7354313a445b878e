import { Queue } from "bullmq";
import { endChild, firstWord, startChild } from "../bare/child.js";
import type { BenchContext } from "../measure.js";
import { until } from "../until.js";

/** BullMQ, with a worker in a process of its own. */
export interface BullQueue {
  /** Adds so many jobs, `producers` bulks at a time; resolves with how many were completed in a second, from the first bulk on. */
  jobs(count: number, shape: JobShape): Promise<number>;
}

/** What the jobs are. */
export interface JobShape {
  readonly bytes: number;
  /** Jobs of one `addBulk`. */
  readonly bulk: number;
  /** Bulks under way at a time. */
  readonly producers: number;
}

const name = "bench";

/** Starts a worker on this Redis that runs so many jobs at a time. */
export async function startBullQueue(
  context: Pick<BenchContext, "signal" | "after">,
  port: number,
  concurrency: number,
): Promise<BullQueue> {
  const worker = startChild(
    new URL("./bull-worker.js", import.meta.url),
    ...[name, port, concurrency],
  );
  context.after(() => endChild(worker));
  const queue = new Queue(name, { connection: { host: "127.0.0.1", port } });
  context.after(() => queue.close());
  await firstWord(worker);
  const patience = { signal: context.signal, mostMs: 600_000, everyMs: 50 };
  return {
    async jobs(count, { bytes, bulk, producers }) {
      const before = await queue.getCompletedCount();
      const data = { command: "x".repeat(bytes - '{"command":""}'.length) };
      let added = 0;
      const produce = async () => {
        while (added < count) {
          const size = Math.min(bulk, count - added);
          added += size;
          await queue.addBulk(Array.from({ length: size }, () => ({ name: "run", data })));
        }
      };
      const begin = performance.now();
      await Promise.all(Array.from({ length: producers }, produce));
      const areOver = async () => (await queue.getCompletedCount()) >= before + count;
      await until(areOver, `${count} jobs to complete`, patience);
      return count / ((performance.now() - begin) / 1_000);
    },
  };
}
