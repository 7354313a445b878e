import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ExecutionType, type Operation } from "@howdah/proto/howdah/v1/operation";
import type { Task } from "@howdah/proto/howdah/v1/request";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { fateOf } from "@howdah/simulator/behaviour";
import type { Bench, BenchContext, BenchResult, Measure } from "../measure.js";
import { median, pairedRatio, percentile, spread } from "../statistics.js";
import { type BenchSystem, startBenchSystem } from "../system/bench-system.js";
import { applyBigCluster } from "./big-cluster.js";
import { type Floors, floorsOf, type Job, type RoleOrder, stagesBound } from "./list-schedule.js";

const hosts = 100;
const durationMs = [50, 500] as const;
/** By how much the run without barriers may exceed its floor. */
const mostRatio = 1.05;

/** The start of a whole cluster, beside what its tasks take with no overhead. */
export const makespanBench: Bench = {
  name: "makespan",
  about: "start of all services of BIGTOP on 100 simulated hosts, beside a computed schedule",
  async run(context) {
    const system = await startBenchSystem(context);
    try {
      return await measure(context, system);
    } finally {
      await system.stop();
    }
  },
};

/** A request that ran, with its tasks and what they take by themselves. */
interface Run {
  readonly tookMs: number;
  readonly tasks: number;
  readonly roles: number;
  readonly floors: Floors;
  /** The sum over its stages of the longest host's queue. */
  readonly stagesMs: number;
  /** From the end of a role's last blocker to its first start. */
  readonly gapsMs: readonly number[];
  /** From the call to the first start. */
  readonly beginMs: number;
  /** From the last end to the word that the request is over. */
  readonly endMs: number;
}

async function measure(context: BenchContext, system: BenchSystem): Promise<BenchResult> {
  const { quick, log, signal } = context;
  const rounds = quick ? 3 : 9;
  const seed = 1;
  log(`${hosts} hosts connect`);
  const [least, most] = durationMs;
  await system.playHosts(hosts, "--duration", `${least}ms-${most}ms`, "--seed", String(seed));
  const names = Array.from({ length: hosts }, (_, at) => `sim-${String(at + 1).padStart(5, "0")}`);
  const stack = await applyBigCluster(system, names);
  // Whatever has to be compiled and connected for the first time.
  await start(system, ExecutionType.DEPENDENCY_ORDERED, seed);
  const free: Run[] = [];
  const staged: Run[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    signal.throwIfAborted();
    free.push(await start(system, ExecutionType.DEPENDENCY_ORDERED, seed));
    staged.push(await start(system, ExecutionType.STAGE, seed));
    log(`round ${round} of ${rounds}: ${textOf(free.at(-1))}; STAGE: ${textOf(staged.at(-1))}`);
  }
  const planMs = await planTimes(system, quick ? 5 : 15);
  return {
    measures: measuresOf(free, staged, planMs),
    notes: [
      `${stack}: ${free[0]?.tasks} tasks of ${free[0]?.roles} roles on ${hosts} hosts, checks included. Masters on ${7} hosts, workers on the others. ${rounds} starts of each kind in turn, with --duration ${least}ms-${most}ms: other tasks, so other times, in each.`,
      "Time: from the call of SubmitRequest at the scheduler, planning included, until WatchRequest has told that the request is over.",
      "Floors are computed from the times that the very tasks of each run were given, not measured: no planning, no commits, no network. The floor is the largest of three: the longest chain of roles (critical path), the host with most work (a host runs one command at a time), and a list schedule in which each host that is free takes the ready task with the longest way to the end. STAGE's bound: the longest queue of a host, added up over the stages.",
    ],
  };
}

function textOf(run: Run | undefined): string {
  if (run === undefined) return "";
  const { tookMs, floors, gapsMs } = run;
  return `${tookMs.toFixed(0)} ms, floor ${floors.floorMs.toFixed(0)}, gap ${median(gapsMs).toFixed(1)}`;
}

function operationOf() {
  const value = { cluster: "bench", roleCommand: RoleCommand.START, evenIfDone: true };
  return { kind: { case: "service" as const, value } } satisfies Pick<Operation, "kind"> | object;
}

async function start(
  system: BenchSystem,
  executionType: ExecutionType,
  seed: number,
): Promise<Run> {
  const beganAtMs = Date.now();
  const began = performance.now();
  const requestId = await system.submit({
    operation: operationOf(),
    options: { executionType },
  });
  const over = await system.over(requestId, 120_000);
  const tookMs = performance.now() - began;
  if (over.status !== Status.COMPLETED) {
    throw new Error(`request ${requestId} ended ${Status[over.status]}, not COMPLETED`);
  }
  return { tookMs, ...(await lookAt(system, requestId, seed, beganAtMs, beganAtMs + tookMs)) };
}

/** Reads what ran, and computes what it takes by itself. */
async function lookAt(
  { store }: BenchSystem,
  requestId: bigint,
  seed: number,
  beganAtMs: number,
  overAtMs: number,
): Promise<Omit<Run, "tookMs">> {
  const { stages } = await store.getRequest({ requestId });
  const { tasks } = await store.listTasks({ requestId, pageSize: 10_000 });
  const behaviour = { durationMs, failureRate: 0, outputBytes: 0, seed };
  const roleAt = new Map<string, number>();
  const order: RoleOrder = stages.flatMap(({ stageId, roles }) => {
    const first = roleAt.size;
    for (const { role } of roles) roleAt.set(`${stageId} ${role}`, roleAt.size);
    return roles.map(({ blockers }) => blockers.map((at) => first + at));
  });
  const known = tasks.map((task) => {
    const role = roleAt.get(`${task.stageId} ${task.role}`);
    if (role === undefined || task.attempt !== 1) {
      throw new Error(`task ${task.taskId}: no role of its stage, or a further attempt`);
    }
    const key = { storeId: "", taskId: String(task.taskId), attempt: 1 };
    const job: Job = { role, host: task.hostName, durationMs: fateOf(key, behaviour).durationMs };
    return { task, job };
  });
  const jobs = known.map(({ job }) => job);
  const starts = tasks.map((task) => timesOf(task).startMs);
  const ends = tasks.map((task) => timesOf(task).endMs);
  return {
    ...{ tasks: tasks.length, roles: order.length },
    floors: floorsOf(jobs, order),
    stagesMs: stagesBound(
      stages.map(({ stageId }) =>
        known.flatMap(({ task, job }) => (task.stageId === stageId ? [job] : [])),
      ),
    ),
    gapsMs: gapsOf(known, order),
    beginMs: Math.min(...starts) - beganAtMs,
    endMs: overAtMs - Math.max(...ends),
  };
}

/** When a task started and ended, by its agent's clock, which is this machine's. */
function timesOf({ taskId, times }: Task): { startMs: number; endMs: number } {
  if (times?.startedAt === undefined || times.endedAt === undefined) {
    throw new Error(`task ${taskId} has no times`);
  }
  return { startMs: timestampMs(times.startedAt), endMs: timestampMs(times.endedAt) };
}

function gapsOf(known: readonly { task: Task; job: Job }[], order: RoleOrder): number[] {
  const firstStart = order.map(() => Number.POSITIVE_INFINITY);
  const lastEnd = order.map(() => 0);
  for (const { task, job } of known) {
    const { startMs, endMs } = timesOf(task);
    firstStart[job.role] = Math.min(firstStart[job.role] ?? 0, startMs);
    lastEnd[job.role] = Math.max(lastEnd[job.role] ?? 0, endMs);
  }
  return order.flatMap((blockers, role) =>
    blockers.length === 0
      ? []
      : [(firstStart[role] ?? 0) - Math.max(...blockers.map((at) => lastEnd[at] ?? 0))],
  );
}

/** How long PlanRequest takes for it, from the call to the answer. */
async function planTimes({ requests }: BenchSystem, times: number): Promise<number[]> {
  const found: number[] = [];
  for (let at = 0; at < times; at += 1) {
    const began = performance.now();
    await requests.planRequest({ operation: operationOf() });
    found.push(performance.now() - began);
  }
  return found;
}

function measuresOf(
  free: readonly Run[],
  staged: readonly Run[],
  planMs: readonly number[],
): Measure[] {
  const took = free.map(({ tookMs }) => tookMs);
  const floors = free.map(({ floors: { floorMs } }) => floorMs);
  const ratios = free.map(({ tookMs, floors: { floorMs } }) => tookMs / floorMs);
  const stagedTook = staged.map(({ tookMs }) => tookMs);
  const bounds = staged.map(({ stagesMs }) => stagesMs);
  const of = (runs: readonly Run[], pick: (run: Run) => number) => median(runs.map(pick));
  const gaps = free.flatMap(({ gapsMs }) => gapsMs);
  return [
    {
      ...{ what: "DEPENDENCY_ORDERED", unit: "ms", value: median(took), floor: median(floors) },
      note: spread(took, 0),
    },
    {
      ...{ what: "ratio to the floor, by pairs", unit: "", value: pairedRatio(took, floors) },
      target: { most: mostRatio },
      note: `${spread(ratios, 3)}`,
    },
    {
      ...{ what: "STAGE", unit: "ms", value: median(stagedTook), floor: median(bounds) },
      note: `floor: its own bound; ${spread(stagedTook, 0)}`,
    },
    computed("critical path", free, ({ criticalPathMs }) => criticalPathMs),
    computed("busiest host", free, ({ busiestHostMs }) => busiestHostMs),
    computed("list schedule", free, ({ listScheduleMs }) => listScheduleMs),
    {
      ...{ what: "submit to the first start", unit: "ms", value: of(free, (run) => run.beginMs) },
    },
    {
      ...{ what: "a role's last blocker's end to its first start", unit: "ms" },
      value: median(gaps),
      note: `by the agents' clocks; ${spread(gaps)}, p95 ${percentile(gaps, 0.95).toFixed(0)}`,
    },
    { what: "the last end to over", unit: "ms", value: of(free, (run) => run.endMs) },
    {
      ...{ what: "PlanRequest of the same", unit: "ms", value: median(planMs) },
      note: "reads included",
    },
  ];
}

function computed(what: string, runs: readonly Run[], pick: (floors: Floors) => number): Measure {
  const values = runs.map(({ floors }) => pick(floors));
  return { what, unit: "ms", value: median(values), note: `computed; ${spread(values, 0)}` };
}
