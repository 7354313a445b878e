import { ExecutionType } from "@howdah/proto/howdah/v1/operation";
import { hostNames } from "@howdah/simulator/host-name";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { median, pairedRatio, percentile, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { applyBigCluster } from "./big-cluster.js";
import type { Hop } from "./hops.js";
import type { Link } from "./last-chain.js";
import { type Run, runStart, startOperation } from "./run-start.js";

const hosts = 100;
const behaviour = { durationMs: [50, 500], failureRate: 0, outputBytes: 0, seed: 1 } as const;
/** By how much the run without barriers may exceed its floor. */
const mostRatio = 1.05;

/** The start of a whole cluster, beside what its tasks take with no overhead. */
export const makespanBench: Bench = {
  name: "makespan",
  about: "start of all services of BIGTOP on 100 simulated hosts, beside a computed schedule",
  run: async (context) => measure(context, await startBenchSystem(context)),
};

async function measure(context: BenchContext, system: BenchSystem): Promise<BenchResult> {
  const { quick, log, signal } = context;
  const { DEPENDENCY_ORDERED, STAGE } = ExecutionType;
  const rounds = quick ? 3 : 9;
  const duration = `${behaviour.durationMs.join("ms-")}ms`;
  log(`${hosts} hosts connect`);
  await system.playHosts(hosts, "--duration", duration, "--seed", String(behaviour.seed));
  const stack = await applyBigCluster(system, hostNames("sim", hosts));
  // Whatever has to be compiled and connected for the first time.
  for (let round = 0; round < 2; round += 1) {
    await runStart(system, DEPENDENCY_ORDERED, behaviour);
  }
  const free: Run[] = [];
  const staged: Run[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    signal.throwIfAborted();
    const one = await runStart(system, DEPENDENCY_ORDERED, behaviour);
    const other = await runStart(system, STAGE, behaviour);
    free.push(one);
    staged.push(other);
    const bound = `${other.tookMs.toFixed(0)} ms, bound ${other.stagesMs.toFixed(0)}`;
    const floor = `${one.tookMs.toFixed(0)} ms, floor ${one.floors.floorMs.toFixed(0)}`;
    log(`round ${round} of ${rounds}: ${floor}; STAGE: ${bound}`);
  }
  const planMs = await planTimes(system, quick ? 5 : 15);
  return {
    measures: [
      ...measuresOf(free, staged),
      ...chainMeasures(free),
      ...hopMeasures(free),
      planMeasure(planMs),
    ],
    notes: [
      `${stack}: ${free[0]?.tasks} tasks of ${free[0]?.roles} roles on ${hosts} hosts, service checks included; masters on seven hosts, workers on all others. ${rounds} starts of each kind in turn. Tasks take ${duration}, others in each start.`,
      "Time: from the call of SubmitRequest at the scheduler, planning included, until WatchRequest has told that the request is over.",
      "Floors are computed from the times that the very tasks of each run were given, not measured: no planning, no commits, no network. The floor is the largest of three: the longest chain of roles (critical path), the host with most work (a host runs one command at a time), and a list schedule in which each host that is free takes the ready task with the longest way to the end. STAGE's bound: the longest queue of a host, added up over the stages.",
      "The last chain is of DEPENDENCY_ORDERED: from the last end back, each task began when its host's command before it had ended, or the last of its role's blockers, whichever came later; its times add up to the start's. Work above the floor is an order that could be better.",
      "Hops are of DEPENDENCY_ORDERED: from the last end of a role's blockers to its first start, by agents' and store's clocks, which are this machine's.",
    ],
  };
}

/** How long PlanRequest takes for it, from the call to the answer. */
async function planTimes({ requests }: BenchSystem, times: number): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < times; at += 1) {
    const began = performance.now();
    await requests.planRequest({ operation: startOperation() });
    found.push(performance.now() - began);
  }
  return found;
}

function measuresOf(free: readonly Run[], staged: readonly Run[]): Measure[] {
  const took = free.map(({ tookMs }) => tookMs);
  const floors = free.map(({ floors: { floorMs } }) => floorMs);
  const ratios = free.map(({ tookMs, floors: { floorMs } }) => tookMs / floorMs);
  const stagedTook = staged.map(({ tookMs }) => tookMs);
  const bounds = staged.map(({ stagesMs }) => stagesMs);
  return [
    {
      ...{ what: "DEPENDENCY_ORDERED", unit: "ms", value: median(took), floor: median(floors) },
      note: spread(took, 0),
    },
    {
      ...{ what: "ratio to the floor, by runs", unit: "", value: pairedRatio(took, floors) },
      target: { most: mostRatio },
      note: spread(ratios, 3),
    },
    {
      ...{ what: "STAGE", unit: "ms", value: median(stagedTook), floor: median(bounds) },
      note: `floor: its own bound; ${spread(stagedTook, 0)}`,
    },
    {
      ...{ what: "ratio to its bound, by runs", unit: "", value: pairedRatio(stagedTook, bounds) },
    },
    of("critical path, computed", free, ({ floors }) => floors.criticalPathMs),
    of("busiest host, computed", free, ({ floors }) => floors.busiestHostMs),
    of("list schedule, computed", free, ({ floors }) => floors.listScheduleMs),
    of("submit to the first start", free, ({ beginMs }) => beginMs),
    of("the last end to over", free, ({ endMs }) => endMs),
  ];
}

function of(what: string, runs: readonly Run[], pick: (run: Run) => number): Measure {
  const values = runs.map(pick);
  return { what, unit: "ms", value: median(values), note: spread(values, 0) };
}

/** What the last end waited for, summed over each run's chain. */
function chainMeasures(runs: readonly Run[]): Measure[] {
  const sum = (what: string, pick: (link: Link) => number) =>
    of(what, runs, ({ chain }) => chain.reduce((total, link) => total + pick(link), 0));
  const after = (which: Link["after"], pick: (link: Link) => number) => (link: Link) =>
    link.after === which ? pick(link) : 0;
  const gap = ({ gapMs }: Link) => gapMs;
  return [
    sum("last chain: work", ({ ran }) => ran.job.durationMs),
    sum("and what it took longer", ({ overMs }) => overMs),
    sum("from the call to its first start", after("nothing", gap)),
    sum("from blockers to starts", after("role", gap)),
    sum(
      "of it until the ends are committed",
      after("role", ({ reportMs }) => reportMs),
    ),
    sum(
      "of it until QUEUED",
      after("role", ({ decideMs }) => decideMs),
    ),
    sum(
      "of it until the commands are in journals",
      after("role", ({ deliverMs }) => deliverMs),
    ),
    sum("between commands of the same host", after("host", gap)),
  ];
}

const parts: readonly (readonly [string, (hop: Hop) => number])[] = [
  ["hop, from a role's blockers to its first start", ({ gapMs }) => gapMs],
  ["of it until the end is committed", ({ reportMs }) => reportMs],
  ["of it until a task is QUEUED", ({ decideMs }) => decideMs],
  ["of it until its command is in a journal", ({ deliverMs }) => deliverMs],
  ["from the role's first command to its last", ({ spreadMs }) => spreadMs],
];

function hopMeasures(runs: readonly Run[]): Measure[] {
  return parts.map(([what, pick]) => {
    const values = runs.flatMap(({ hops }) => hops.map(pick));
    const note = `${spread(values, 0)}, p95 ${percentile(values, 0.95).toFixed(0)}`;
    return { what, unit: "ms", value: median(values), note };
  });
}

function planMeasure(planMs: readonly number[]): Measure {
  const note = `reads included; ${spread(planMs, 0)}`;
  return { what: "PlanRequest of the same", unit: "ms", value: median(planMs), note };
}
