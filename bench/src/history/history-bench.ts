import { mkdir, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { bytesSpoken } from "@howdah/command-store/testing/table-sizes";
import { type ExecProbe, startExecProbe } from "../latency/submit-to-exec.js";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { median, pairedRatio, percentile, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { runTasks, throughputHosts } from "../throughput/run-tasks.js";
import { checkRoom, type History, loadHistory } from "./load-history.js";

interface Sizes {
  /** Finished tasks in the store, and how many of them are run, not copied. */
  readonly tasks: number;
  readonly pattern: number;
  /** Pairs of runs of so many tasks. */
  readonly runs: number;
  readonly runTasks: number;
  /** Pairs of single commands. */
  readonly commands: number;
  /** How many pairs, of each, before the history is loaded: they say how far two empty stores are apart. */
  readonly before: number;
  /** What is done before the first that counts: code that has not run yet is not compiled yet. */
  readonly warmUp: { readonly tasks: number; readonly commands: number };
}

const full: Sizes = {
  ...{ tasks: 10_000_000, pattern: 10_000, runs: 12, runTasks: 10_000, commands: 400 },
  ...{ before: 6, warmUp: { tasks: 4_000, commands: 30 } },
};
const quickly: Sizes = {
  ...{ tasks: 200_000, pattern: 2_000, runs: 3, runTasks: 1_000, commands: 30 },
  ...{ before: 0, warmUp: { tasks: 1_000, commands: 10 } },
};

/** One of the two installations that are compared. */
interface Side {
  readonly system: BenchSystem;
  readonly probe: ExecProbe;
}

/** What both sides did, in pairs. */
interface Pairs {
  readonly rates: { readonly old: number[]; readonly empty: number[] };
  readonly execs: { readonly old: number[]; readonly empty: number[] };
}

/** What ten million finished tasks in the store cost those that come: two installations beside each other, in turn. */
export const historyBench: Bench = {
  name: "history",
  about: "throughput and latency with ten million finished tasks in the store, beside an empty one",
  async run(context) {
    const sizes = context.quick ? quickly : full;
    const kept = await keptFolder();
    if (kept?.used !== true) await checkRoom(kept?.folder ?? tmpdir(), sizes.tasks);
    const start = async (keptIn?: string): Promise<Side> => {
      const system = await startBenchSystem(context, keptIn === undefined ? {} : { keptIn });
      await system.playHosts(throughputHosts, "--duration", "0ms");
      const probe = await startExecProbe(context, system);
      return { system, probe };
    };
    const old = await start(kept?.folder);
    const empty = await start();
    const isNew = kept?.used !== true;
    const before =
      isNew && sizes.before > 0 ? await measureBefore(context, sizes, old, empty) : undefined;
    const began = performance.now();
    const history = await loadHistory(old.system, sizes, context);
    const loadMs = isNew ? performance.now() - began : undefined;
    const pairs = await measure(context, sizes, old, empty);
    return resultOf({ sizes, before, pairs, history, loadMs });
  },
};

/** A folder that keeps the installation with the history for the next time: for who changes something and measures again. */
async function keptFolder(): Promise<{ folder: string; used: boolean } | undefined> {
  const name = process.env.HOWDAH_BENCH_HISTORY;
  if (name === undefined || name === "") return undefined;
  const folder = resolve(name);
  await mkdir(folder, { recursive: true });
  return { folder, used: (await readdir(folder)).includes("mariadb") };
}

/** The two beside each other while neither has a history. */
function measureBefore(
  context: BenchContext,
  sizes: Sizes,
  old: Side,
  empty: Side,
): Promise<Pairs> {
  const { before } = sizes;
  return measure(context, { ...sizes, runs: before, commands: before * 20 }, old, empty);
}

async function measure(
  context: BenchContext,
  sizes: Sizes,
  old: Side,
  empty: Side,
): Promise<Pairs> {
  const { log } = context;
  const { warmUp } = sizes;
  const pairs: Pairs = { rates: { old: [], empty: [] }, execs: { old: [], empty: [] } };
  const sides = [
    ["old", old],
    ["empty", empty],
  ] as const;
  for (let n = 1; n <= sizes.commands + warmUp.commands; n += 1) {
    for (const [name, { probe }] of alternating(sides, n)) {
      const { exec } = await probe();
      if (n > warmUp.commands) pairs.execs[name].push(exec);
    }
    if (n % 100 === 0) log(`${n} pairs of commands`);
  }
  for (const { system } of [old, empty]) {
    await runTasks(system, { tasks: warmUp.tasks }, context);
  }
  for (let n = 1; n <= sizes.runs; n += 1) {
    for (const [name, { system }] of alternating(sides, n)) {
      const { tasksPerSecond } = await runTasks(system, { tasks: sizes.runTasks }, context);
      pairs.rates[name].push(tasksPerSecond);
    }
    const [with_, without] = [pairs.rates.old.at(-1), pairs.rates.empty.at(-1)];
    log(`${with_?.toFixed(0)} and ${without?.toFixed(0)} tasks a second`);
  }
  return pairs;
}

/** Who went second goes first the next time: A B B A. */
function alternating<T>(both: readonly T[], n: number): readonly T[] {
  return n % 2 === 0 ? both : both.toReversed();
}

interface Found {
  readonly sizes: Sizes;
  /** Before the history was loaded. */
  readonly before: Pairs | undefined;
  readonly pairs: Pairs;
  readonly history: History;
  /** How long the loading took; undefined when it was there. */
  readonly loadMs: number | undefined;
}

function resultOf({ sizes, before, pairs, history, loadMs }: Found): BenchResult {
  const { rates, execs } = pairs;
  const p99 = [execs.old, execs.empty].map((all) => percentile(all, 0.99));
  const commands = `${sizes.commands} pairs`;
  const measures: Measure[] = [
    { what: "finished tasks in the store", unit: "", value: history.tasks },
    {
      ...{ what: "  in all", unit: "GiB", value: history.bytes / 2 ** 30 },
      note: `${Math.round(history.bytes / history.tasks)} bytes a task, indexes included`,
    },
    {
      ...{ what: "throughput: tasks", unit: "a second", value: median(rates.old) },
      ...{ floor: median(rates.empty), note: `${sizes.runs} pairs of ${sizes.runTasks} tasks` },
    },
    { what: "throughput: ratio of pairs", unit: "", ...ratioOf(rates), target: { least: 0.95 } },
    ...ratioBefore(before?.rates),
    {
      ...{ what: "latency: submit to exec, p50", unit: "ms", value: median(execs.old) },
      ...{ floor: median(execs.empty), note: `${commands}, ${spread(execs.old)}` },
    },
    { what: "latency p50: ratio of pairs", unit: "", ...ratioOf(execs), target: { most: 1.05 } },
    ...ratioBefore(before?.execs),
    {
      ...{ what: "latency: submit to exec, p99", unit: "ms", value: p99[0] ?? Number.NaN },
      ...{ floor: p99[1] ?? Number.NaN, note: commands },
    },
  ];
  const took = loadMs === undefined ? "" : `, in ${(loadMs / 1000).toFixed(0)} s`;
  return {
    measures,
    notes: [
      "Floor: an installation of its own with an empty store, in turn with it (A B B A); the ratio is the median of the pairs' ratios, beside it the middle half of them.",
      `The history: ${history.run?.toLocaleString("en") ?? "some"} tasks that were run as throughput's are, with their commands of 1 KiB (stored once for a stage) and without output, copied inside the server until there are ${history.tasks.toLocaleString("en")}, on the same 200 hosts: ${bytesSpoken(history.bytes)}${took}. The server had written all of it to the disk before the first pair.`,
    ],
  };
}

function ratioOf({ old, empty }: Pairs["rates"]): Pick<Measure, "value" | "note"> {
  const ratios = old.map((value, at) => value / (empty[at] ?? Number.NaN));
  return { value: pairedRatio(old, empty), note: spread(ratios, 2) };
}

function ratioBefore(before: Pairs["rates"] | undefined): Measure[] {
  if (before === undefined) return [];
  return [{ what: "  the same two before it was loaded", unit: "", ...ratioOf(before) }];
}
