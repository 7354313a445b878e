import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  Concurrency,
  ExecutionType,
  type RequestOptions,
  type Rolling,
} from "@howdah/proto/howdah/v1/operation";
import type { Request } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type CreateRequestRequest,
  CreateRequestRequestSchema,
  RequestHeaderSchema,
  type StageHeader,
  StageHeaderSchema,
} from "@howdah/proto/howdah/v1/store_request_creation";
import { inPlaceRetryMs } from "@howdah/state/in-place-retries";
import type { RunContents } from "./engine/run-contents.js";
import { backoffOf, runOptions } from "./engine/run-options.js";
import { type PlannedRequest, skippedOf } from "./planned-request.js";
import type { PlannedRole, PlannedStage } from "./planner/plan-operation.js";
import { batchesOf } from "./rolling-batches.js";

/** Tasks in one message to the store. */
const tasksPerChunk = 1_000;
/** What the stages of a request may be that goes in one message, whose end is far away then. */
const mostStagesInOne = 20;
const mostBytesInOne = 256 << 10;

/** What a request is called and how it runs, besides its plan. */
export interface RequestFrame {
  readonly idempotencyKey: string;
  readonly contentDigest: Uint8Array;
  readonly context: string;
  readonly options: RequestOptions;
  readonly schedulerToken: bigint;
}

interface TaskPlace {
  readonly stageId: number;
  readonly roleIndex: number;
  readonly hostId: bigint;
  readonly batch: number;
  readonly role: PlannedRole;
}

/** The tasks of a plan, in the order in which the store gives them ids: stage, role, host. */
function taskPlaces({ plan, hostIds }: PlannedRequest, rolling: Rolling | undefined): TaskPlace[] {
  const places: TaskPlace[] = [];
  for (const [stageId, stage] of plan.stages.entries()) {
    const hosts = stage.roles.flatMap((role) => role.hosts);
    const batches = batchesOf(hosts, rolling);
    for (const [roleIndex, role] of stage.roles.entries()) {
      for (const host of role.hosts) {
        const hostId = hostIds.get(host);
        if (hostId === undefined)
          throw new Error(`the plan names host ${host}, which is not known`);
        places.push({ stageId, roleIndex, hostId, batch: batches.get(host) ?? 0, role });
      }
    }
  }
  return places;
}

/** The places, in their stage's roles, of the roles that each waits for; none with barriers, which see to it. */
function blockersOf(stage: PlannedStage, options: RequestOptions | undefined): number[][] {
  if (options?.executionType !== ExecutionType.DEPENDENCY_ORDERED) return stage.roles.map(() => []);
  const places = new Map(stage.roles.map(({ id }, at) => [id, at]));
  return stage.roles.map(({ blockers }) => blockers.flatMap((id) => places.get(id) ?? []));
}

/** Throws INVALID_ARGUMENT when the plan cannot be cut into batches as its options say. */
export function checkBatches({ plan }: PlannedRequest, options: RequestOptions | undefined): void {
  for (const { roles } of plan.stages) {
    batchesOf(
      roles.flatMap(({ hosts }) => [...hosts]),
      options?.rolling,
    );
  }
}

/** The messages that make a plan a request in the store: one, or a header, its stages, its tasks in chunks, a commit. */
export async function* createRequestMessages(
  planned: PlannedRequest,
  frame: RequestFrame,
): AsyncGenerator<CreateRequestRequest> {
  const { plan, clusterId } = planned;
  const { idempotencyKey, contentDigest, context, options, schedulerToken } = frame;
  const message = (part: MessageInitShape<typeof CreateRequestRequestSchema>["part"] & {}) =>
    create(CreateRequestRequestSchema, { part });
  const header = create(RequestHeaderSchema, {
    ...{ idempotencyKey, contentDigest, context, clusterId, options, schedulerToken },
    skippedHosts: skippedOf(plan),
  });
  const isBeside = options.concurrency === Concurrency.PARALLEL;
  const stages = plan.stages.map((stage, stageId) => {
    const blockers = blockersOf(stage, options);
    const roles = stage.roles.map(({ role, roleCommand, successFactor, spec, manual }, at) => ({
      ...{
        role,
        roleCommand,
        successFactor,
        blockers: blockers[at] ?? [],
        manual: manual ?? false,
      },
      // In a lane of its own on the agent.
      command: isBeside ? { ...spec, background: true } : spec,
    }));
    return create(StageHeaderSchema, { stageId, roles });
  });
  const tasks = taskPlaces(planned, options.rolling);
  if (fitsOneMessage(tasks.length, stages)) {
    yield message({ case: "whole", value: { header, stages, tasks } });
    return;
  }
  yield message({ case: "header", value: header });
  for (const stage of stages) yield message({ case: "stage", value: stage });
  for (let from = 0; from < tasks.length; from += tasksPerChunk) {
    const chunk = tasks.slice(from, from + tasksPerChunk);
    yield message({ case: "tasks", value: { tasks: chunk } });
  }
  yield message({ case: "commit", value: { taskCount: tasks.length } });
}

/** Each message waits until the connection has taken the one before. */
function fitsOneMessage(tasks: number, stages: readonly StageHeader[]): boolean {
  if (tasks > tasksPerChunk || stages.length > mostStagesInOne) return false;
  const bytes = stages.map((stage) => toBinary(StageHeaderSchema, stage).length);
  return bytes.reduce((sum, length) => sum + length, 0) <= mostBytesInOne;
}

/** What the engine drives, without reading back what was just written. */
export function contentsOf(
  planned: PlannedRequest,
  request: Request,
  taskIds: readonly bigint[],
): RunContents {
  const { requestId, version } = request;
  const { options } = request;
  const places = taskPlaces(planned, options?.rolling);
  const tasks = places.map(({ stageId, roleIndex, hostId, batch, role }, at) => {
    const taskId = taskIds[at];
    if (taskId === undefined) throw new Error(`request ${requestId}: task ${at} got no id`);
    return {
      taskId,
      requestId,
      stageId,
      roleIndex,
      hostId,
      batch,
      timeoutMs: Number(role.spec.timeoutMs),
      status: Status.PENDING as const,
      attempt: 1,
      version,
      cancelRequested: false,
      sessionEpoch: 0n,
      asked: false,
      backingOff: false,
      since: performance.now(),
    };
  });
  return {
    requestId,
    version,
    run: 1,
    ...{ options: runOptions(options), ageMs: Number(request.ageMs) },
    // They are told only when the wait for hosts has an end.
    hostNames: new Map(
      options?.offlineExpiry === undefined
        ? []
        : Array.from(planned.hostIds, ([name, hostId]) => [hostId, name]),
    ),
    ...{ stopping: false, cancelRequested: false, reason: "", paused: false, pauseReason: "" },
    stages: planned.plan.stages.map((stage) => {
      const blockers = blockersOf(stage, options);
      const roles = stage.roles.map((role, at) => {
        const backoff = backoffOf(options, role);
        return {
          ...{ name: role.role, successFactor: role.successFactor, manual: role.manual ?? false },
          background: role.spec.background,
          retryMs: inPlaceRetryMs(role.spec),
          blockers: blockers[at] ?? [],
          ...(backoff && { backoff }),
        };
      });
      return { roles };
    }),
    tasks,
  };
}
