import { hostNames } from "@howdah/simulator/host-name";
import { createConnection } from "mysql2/promise";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { median, pairedRatio, percentile, serial, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { openDatabaseFloor } from "./database-floor.js";
import { keptRate } from "./kept-rate.js";
import { type LiveDelays, liveLoad } from "./live-load.js";
import { openStreamFloor } from "./stream-floor.js";

const agents = 20;
const mib = 1 << 20;
const connectionCounts = [1, 2, 4] as const;
const streamCounts = [1, agents] as const;
/** A little less than what of an output is stored while its command runs: half the cap of 64 MiB. */
const mostLiveBytes = 30 * mib;

/** What hosts write all at once: how much of it is kept in a second; how soon it is read, and how soon a cancel is there. */
export const outputBench: Bench = {
  name: "output",
  about:
    "live output of 20 agents: bytes a second kept; at half that rate the delays of reading and of cancels",
  run: async (context) => measure(context, await startBenchSystem(context)),
};

interface Rates {
  readonly kept: number[];
  readonly db: number[];
  readonly stream: number[];
  readonly floor: number[];
  readonly chunks: number[];
}

async function measure(context: BenchContext, system: BenchSystem): Promise<BenchResult> {
  const { quick, log } = context;
  const rates = await measureRates(context, system);
  const half = median(rates.kept) / 2;
  const bytesEach = mostLiveBytes;
  const durationMs = Math.round((bytesEach / (half / agents)) * 1_000);
  log(`at ${megabytes(half)} MB/s: commands that write for ${(durationMs / 1_000).toFixed(1)} s`);
  const args = ["--output", String(bytesEach), "--duration", `${durationMs}ms`];
  const simulator = await system.playHosts(agents, ...args, "--prefix", "live");
  const writing = { hosts: hostNames("live", agents), bytesEach, durationMs };
  const times = { warmUpMs: quick ? 3_000 : 5_000, ms: quick ? 10_000 : 45_000 };
  const delays = await liveLoad(system, writing, times, context.signal);
  if (simulator.errors() !== "") log(simulator.errors().slice(0, 2_000));
  return {
    measures: [...rateMeasures(rates), ...delayMeasures(delays)],
    notes: [
      `${agents} simulated agents, a connection each, in one process, upload by the agent's own code. Kept: from the first start until MySQL has the last byte of ${agents} commands that write faster than can be kept.`,
      "Floor: 1 / (1/db + 2/stream). db: the same bytes, in chunks of the size in which they were kept, a MiB a statement, prepared, each where the last one of its stream ends, durable; with the number of connections that was fastest. stream: the same through a bare grpc-js stream to another process; with the number of streams that was fastest.",
      "Read: from when a command wrote a byte, by the evenness of its writing, until a follower of ReadTaskOutput at the store had it; every command is followed, by a process of its own that is run as services are. Cancel: from the call of CancelRequest at the scheduler until the writing command has been stopped, by its agent's clock.",
    ],
  };
}

async function measureRates(context: BenchContext, system: BenchSystem): Promise<Rates> {
  const { quick, log, signal } = context;
  // Within a second, and that must not be what limits the rate.
  const bytesEach = (quick ? 8 : 16) * mib;
  const bytes = bytesEach * agents;
  await system.playHosts(
    agents,
    "--output",
    String(bytesEach),
    "--duration",
    "1s",
    "--prefix",
    "fast",
  );
  const url = system.installation.databaseUrl;
  const database = await createConnection(url);
  const dbFloor = await openDatabaseFloor(url, Math.max(...connectionCounts));
  const streamFloor = await openStreamFloor(Math.max(...streamCounts));
  const rates: Rates = { kept: [], db: [], stream: [], floor: [], chunks: [] };
  try {
    const run = () => keptRate(system, database, { select: "fast-*", bytes, signal });
    // The first round compiles what has not run yet, and shows what is fastest as a floor.
    const { chunkBytes } = await run();
    const shape = { streams: agents, bytesEach, chunkBytes };
    const through = (streams: number, size: number) =>
      streamFloor.rate({ streams, bytesEach: bytes / streams, chunkBytes: size });
    const connections = await fastest(connectionCounts, (count) => dbFloor.rate(shape, count));
    const streams = await fastest(streamCounts, (count) => through(count, chunkBytes));
    log(`floors: ${connections} connections to MySQL, ${streams} streams`);
    for (let round = 1; round <= (quick ? 3 : 5); round += 1) {
      signal.throwIfAborted();
      const kept = await run();
      const db = await dbFloor.rate({ ...shape, chunkBytes: kept.chunkBytes }, connections);
      const stream = await through(streams, kept.chunkBytes);
      rates.kept.push(kept.bytesPerSecond);
      rates.chunks.push(kept.chunkBytes);
      rates.db.push(db);
      rates.stream.push(stream);
      rates.floor.push(serial(db, stream / 2));
      log(
        `round ${round}: kept ${megabytes(kept.bytesPerSecond)} MB/s in chunks of ${kept.chunkBytes}, db ${megabytes(db)}, stream ${megabytes(stream)}`,
      );
    }
    return rates;
  } finally {
    await streamFloor.close();
    await dbFloor.close();
    await database.end();
  }
}

/** Which count is fastest. */
async function fastest(
  counts: readonly number[],
  rateOf: (count: number) => Promise<number>,
): Promise<number> {
  const found: { count: number; rate: number }[] = [];
  for (const count of counts) {
    await rateOf(count);
    found.push({ count, rate: await rateOf(count) });
  }
  return found.toSorted((a, b) => b.rate - a.rate)[0]?.count ?? 1;
}

function rateMeasures(rates: Rates): Measure[] {
  const measure = (what: string, values: readonly number[], chunks?: number): Measure => ({
    ...{ what, unit: "MB/s", value: median(values) / 1e6 },
    note: `${values.length} rounds, ${spread(values.map((value) => value / 1e6))}${chunks === undefined ? "" : `; chunks of ${(chunks / 1024).toFixed(0)} KiB`}`,
  });
  return [
    { ...measure("kept", rates.kept, median(rates.chunks)), floor: median(rates.floor) / 1e6 },
    {
      ...{ what: "kept by floor, in pairs", unit: "", value: pairedRatio(rates.kept, rates.floor) },
      target: { least: 0.5 },
    },
    measure("floor: MySQL alone", rates.db),
    measure("floor: a grpc-js stream alone", rates.stream),
  ];
}

function delayMeasures({ read, cancel, bytesRead, seconds }: LiveDelays): Measure[] {
  const at = (what: string, values: readonly number[], share: number, most?: number): Measure => ({
    ...{ what: `${what}, p${share * 100}`, unit: "ms", value: percentile(values, share) },
    ...(most !== undefined && { target: { most } }),
  });
  return [
    {
      ...{ what: "followed meanwhile", unit: "MB/s", value: bytesRead / 1e6 / seconds },
      note: `${read.length} messages`,
    },
    at("write to reader", read, 0.5),
    at("write to reader", read, 0.99, 500),
    { ...at("cancel", cancel, 0.5, 100), note: `${cancel.length} cancels` },
    at("cancel", cancel, 0.99, 100),
  ];
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
