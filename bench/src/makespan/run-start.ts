import type { ExecutionType } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { type Behaviour, fateOf } from "@howdah/simulator/behaviour";
import type { BenchSystem } from "../system/bench-system.js";
import { type Hop, hopsOf, type Ran, timesOf } from "./hops.js";
import { type Link, lastChain } from "./last-chain.js";
import { type Floors, floorsOf, type RoleOrder, stagesBound } from "./list-schedule.js";

/** A request that ran, and what its very tasks take by themselves. */
export interface Run {
  /** From the call of SubmitRequest until WatchRequest has told that the request is over. */
  readonly tookMs: number;
  readonly tasks: number;
  readonly roles: number;
  readonly floors: Floors;
  /** The sum over its stages of the longest host's queue. */
  readonly stagesMs: number;
  readonly hops: readonly Hop[];
  /** What its end waited for, from the call on. */
  readonly chain: readonly Link[];
  /** From the call to the first start. */
  readonly beginMs: number;
  /** From the last end to the word that the request is over. */
  readonly endMs: number;
}

/** The start of everything in the cluster, whatever runs already. */
export function startOperation() {
  const value = { cluster: "bench", roleCommand: RoleCommand.START, evenIfDone: true };
  return { kind: { case: "service" as const, value } };
}

/** Runs it to its end. `behaviour`: what the simulated hosts play. */
export async function runStart(
  system: BenchSystem,
  executionType: ExecutionType,
  behaviour: Behaviour,
): Promise<Run> {
  const beganAtMs = Date.now();
  const began = performance.now();
  const requestId = await system.submit({
    operation: startOperation(),
    options: { executionType },
  });
  const over = await system.over(requestId, 120_000);
  const tookMs = performance.now() - began;
  if (over.status !== Status.COMPLETED) {
    throw new Error(`request ${requestId} ended ${Status[over.status]}, not COMPLETED`);
  }
  const { stages, order, ran } = await whatRan(system, requestId, behaviour);
  const jobs = ran.map(({ job }) => job);
  const times = ran.map(({ task }) => timesOf(task));
  return {
    ...{ tookMs, tasks: ran.length, roles: order.length },
    floors: floorsOf(jobs, order),
    stagesMs: stagesBound(
      stages.map((stageId) =>
        ran.flatMap(({ task, job }) => (task.stageId === stageId ? [job] : [])),
      ),
    ),
    hops: hopsOf(ran, order),
    chain: lastChain(ran, order, beganAtMs),
    beginMs: Math.min(...times.map(({ startMs }) => startMs)) - beganAtMs,
    endMs: beganAtMs + tookMs - Math.max(...times.map(({ endMs }) => endMs)),
  };
}

async function whatRan(
  { store }: BenchSystem,
  requestId: bigint,
  behaviour: Behaviour,
): Promise<{ stages: number[]; order: RoleOrder; ran: Ran[] }> {
  const { stages } = await store.getRequest({ requestId });
  const { tasks } = await store.listTasks({ requestId, pageSize: 10_000 });
  const places = new Map<string, number>();
  const order = stages.flatMap(({ stageId, roles }) => {
    const first = places.size;
    for (const { role } of roles) places.set(`${stageId} ${role}`, places.size);
    return roles.map(({ blockers }) => blockers.map((at) => first + at));
  });
  const ran = tasks.map((task): Ran => {
    const { taskId, stageId, hostName: host, attempt } = task;
    const role = places.get(`${stageId} ${task.role}`);
    if (role === undefined || attempt !== 1) {
      throw new Error(`task ${taskId} is of no role of its stage, or was tried again`);
    }
    const key = { storeId: "", taskId: String(taskId), attempt };
    return { task, job: { role, host, durationMs: fateOf(key, behaviour).durationMs } };
  });
  return { stages: stages.map(({ stageId }) => stageId), order, ran };
}
