import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { BenchSystem } from "../system/bench-system.js";
import { until } from "../until.js";
import { openOutputReaders } from "./output-readers.js";

/** How the hosts' commands write. */
export interface LiveWriting {
  readonly hosts: readonly string[];
  /** What each command writes, in how long. */
  readonly bytesEach: number;
  readonly durationMs: number;
}

/** For how long. */
export interface LiveTimes {
  /** Nothing counts at first: agents, readers and the store's part for them are new, and compile what they run. */
  readonly warmUpMs: number;
  readonly ms: number;
}

/** What was found meanwhile. */
export interface LiveDelays {
  /** From the write of the first byte of each message until a follower had it, in ms. */
  readonly read: number[];
  /** From the call of CancelRequest until the agent had stopped the command, in ms. */
  readonly cancel: number[];
  readonly bytesRead: number;
  /** In so long. */
  readonly seconds: number;
}

interface Running {
  readonly requestId: bigint;
  cancelledAtMs: number;
}

const cancelEveryMs = 250;
/** A command is cancelled once it has written for so long. */
const cancelAfterMs = 1_000;
/** What still writes so long after the load is cancelled: not sooner, so that nothing is cancelled twice. */
const afterMs = 500;

/**
 * Keeps a writing command on every host, each followed by a reader, and cancels one after the other; in the place of what ends comes the
 * next.
 */
export async function liveLoad(
  system: BenchSystem,
  writing: LiveWriting,
  { warmUpMs, ms }: LiveTimes,
  interrupted: AbortSignal,
): Promise<LiveDelays> {
  // Every call listens to it.
  setMaxListeners(0, interrupted);
  const delays = { read: [] as number[], cancel: [] as number[], bytesRead: 0 };
  const store = system.installation.commandStore.addresses.main ?? "";
  const readers = await openOutputReaders(store, interrupted);
  const countsFromMs = Date.now() + warmUpMs;
  const endsAt = performance.now() + warmUpMs + ms;
  const going = () => performance.now() < endsAt && !interrupted.aborted;
  const running = new Map<string, Running>();

  async function lane(host: string): Promise<void> {
    while (going()) {
      const requestId = await system.submitLine(host, { parallel: true });
      const entry = { requestId, cancelledAtMs: 0 };
      const taskId = await taskOf(system, requestId, interrupted);
      const startedAtMs = await startOf(system, taskId, interrupted);
      const eligible = setTimeout(() => going() && running.set(host, entry), cancelAfterMs);
      await follow(taskId, startedAtMs, entry);
      clearTimeout(eligible);
      running.delete(host);
      const { task } = await system.store.getTask({ taskId }, { signal: interrupted });
      if (entry.cancelledAtMs > countsFromMs && task?.status === Status.ABORTED) {
        delays.cancel.push(timeOf(task.times?.endedAt) - entry.cancelledAtMs);
      }
    }
  }

  /** Has what a command writes read as it comes, to its end; at the end of the load it is cancelled, which counts for nothing. */
  async function follow(taskId: bigint, startedAtMs: number, entry: Running): Promise<void> {
    const { bytesEach, durationMs } = writing;
    const over = setTimeout(
      () => void cancel(entry.requestId).catch(() => undefined),
      Math.max(0, endsAt - performance.now()) + afterMs,
    );
    try {
      for (const [offset, length, atMs] of await readers.follow(taskId)) {
        if (atMs < countsFromMs) continue;
        // A command writes evenly, so its clock tells when a byte was written.
        delays.read.push(atMs - (startedAtMs + (offset / bytesEach) * durationMs));
        delays.bytesRead += length;
      }
    } finally {
      clearTimeout(over);
    }
  }

  async function cancel(requestId: bigint): Promise<void> {
    await system.requests.cancelRequest({ requestId }, { signal: interrupted });
  }

  async function cancels(): Promise<void> {
    for (;;) {
      await sleep(cancelEveryMs, undefined, { signal: interrupted });
      // What was marked as cancelled now would be cancelled with the rest only, and look as if that had taken so long.
      if (!going()) return;
      const [host, entry] = [...running].find(() => true) ?? [];
      if (host === undefined || entry === undefined) continue;
      running.delete(host);
      entry.cancelledAtMs = Date.now();
      await cancel(entry.requestId);
    }
  }

  try {
    await Promise.all([...writing.hosts.map(lane), cancels()]);
  } finally {
    await readers.close();
  }
  return { ...delays, seconds: (Date.now() - countsFromMs) / 1_000 };
}

async function taskOf(
  { store }: BenchSystem,
  requestId: bigint,
  signal: AbortSignal,
): Promise<bigint> {
  const { tasks } = await store.listTasks({ requestId }, { signal });
  const [task] = tasks;
  if (task === undefined) throw new Error(`request ${requestId} has no task`);
  return task.taskId;
}

async function startOf(
  { store }: BenchSystem,
  taskId: bigint,
  signal: AbortSignal,
): Promise<number> {
  const look = async () => {
    const { task } = await store.getTask({ taskId }, { signal });
    const startedAtMs = timeOf(task?.times?.startedAt);
    return startedAtMs > 0 && startedAtMs;
  };
  return until(look, `task ${taskId} to start`, { signal, mostMs: 60_000 });
}

function timeOf(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : timestampMs(timestamp);
}
