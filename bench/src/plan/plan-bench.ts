import type { PlanInput } from "@howdah/scheduler/planner/plan-input";
import { planOperation } from "@howdah/scheduler/planner/plan-operation";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { median, spread } from "../statistics.js";
import { startOfAll, withStates } from "./large-operation.js";

/** What is planned, and the most that it may take. */
const sizes = [
  { hosts: 3_000, roles: 20, mostMs: 300 },
  { hosts: 10_000, roles: 30, mostMs: 2_000 },
] as const;
/** How much more a task of the larger plan may take than one of the smaller. */
const mostGrowth = 1.5;

/** Planning by itself: no I/O, in this process. */
export const planBench: Bench = {
  name: "plan",
  about: "planning the start of 20 roles on 3,000 hosts, and of 30 on 10,000",
  run: async (context) => measure(context),
};

interface Planned {
  readonly size: (typeof sizes)[number];
  readonly tasks: number;
  /** As the service plans: with the last word about each component. */
  readonly input: PlanInput;
  /** Without. */
  readonly bare: PlanInput;
  readonly timesMs: number[];
  readonly bareTimesMs: number[];
}

async function measure({ quick, log, signal }: BenchContext): Promise<BenchResult> {
  const rounds = quick ? 9 : 31;
  const plans = sizes.map((size): Planned => {
    const bare = startOfAll(size.hosts, size.roles);
    const tasks = size.hosts * size.roles;
    return { size, tasks, bare, input: withStates(bare), timesMs: [], bareTimesMs: [] };
  });
  // The first round compiles what has not run yet. Both sizes in turn: what slows the machine for a while slows both.
  for (let round = 0; round <= rounds; round += 1) {
    signal.throwIfAborted();
    for (const plan of plans) {
      const bareMs = timeOf(plan.bare, plan);
      const ms = timeOf(plan.input, plan);
      if (round === 0) continue;
      plan.timesMs.push(ms);
      plan.bareTimesMs.push(bareMs);
    }
    // Lets an interrupt in.
    await new Promise(setImmediate);
  }
  for (const { size, timesMs } of plans) log(`${nameOf(size)}: ${median(timesMs).toFixed(0)} ms`);
  return {
    measures: [...plans.map(measureOf), ...growthOf(plans), ...plans.map(bareOf)],
    notes: [
      `A call of planOperation in this process, ${rounds} times each in turn: a chain of START rules through all roles, so as many stages as roles; every role on every host; the last word about each component is INSTALLED, read before, as the service has it. Wall clock, garbage collection included.`,
      "Reading topology and states from the store before, and storing the request after, are not in it: submit's cost is in throughput and latency.",
    ],
  };
}

function timeOf(input: PlanInput, { size, tasks }: Planned): number {
  const began = performance.now();
  const { stages } = planOperation(input);
  const tookMs = performance.now() - began;
  const planned = stages.flatMap(({ roles }) => roles);
  const found = planned.reduce((sum, { hosts }) => sum + hosts.length, 0);
  if (stages.length !== size.roles || found !== tasks) {
    throw new Error(`${nameOf(size)}: ${found} tasks in ${stages.length} stages were planned`);
  }
  return tookMs;
}

function nameOf({ hosts, roles }: Planned["size"]): string {
  return `${hosts.toLocaleString("en")} hosts x ${roles} roles`;
}

function measureOf({ size, timesMs }: Planned): Measure {
  return {
    ...{ what: nameOf(size), unit: "ms", value: median(timesMs), target: { most: size.mostMs } },
    note: `${spread(timesMs, 0)}, at most ${Math.max(...timesMs).toFixed(0)}`,
  };
}

function growthOf([small, large]: readonly Planned[]): Measure[] {
  if (small === undefined || large === undefined) return [];
  const perTask = ({ timesMs, tasks }: Planned) => timesMs.map((ms) => ms / tasks);
  const before = perTask(small);
  const ratios = perTask(large).map((each, at) => each / (before[at] ?? Number.NaN));
  const what = `time a task, of ${large.tasks.toLocaleString("en")} by ${small.tasks.toLocaleString("en")}`;
  return [
    {
      ...{ what, unit: "", value: median(ratios), target: { most: mostGrowth } },
      note: `1 is linear; ${spread(ratios, 2)}`,
    },
  ];
}

function bareOf({ size, bareTimesMs }: Planned): Measure {
  return {
    ...{ what: `${nameOf(size)}, no states known`, unit: "ms", value: median(bareTimesMs) },
    note: spread(bareTimesMs, 0),
  };
}
