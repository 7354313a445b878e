import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import {
  Concurrency,
  ExecutionType,
  type RequestOptions,
  type Rolling,
} from "@howdah/proto/howdah/v1/operation";
import { type Request, RequestSchema } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type CreateRequestRequest,
  CreateRequestRequestSchema,
  type RequestHeader,
  RequestHeaderSchema,
  type StageHeader,
  StageHeaderSchema,
} from "@howdah/proto/howdah/v1/store_request_creation";
import { inPlaceRetryMs } from "@howdah/state/in-place-retries";
import type { TaskStatus } from "@howdah/state/statuses";
import type { Making } from "./engine/agenda.js";
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
/** What the commands may come to that the answer brings, likewise: each has its role's, and some ids and digests. */
const mostBytesAnswered = 2 << 20;
const bytesOfIds = 1 << 10;

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

/** A plan as the store takes it. */
export interface NewRequest {
  readonly header: RequestHeader;
  readonly stages: readonly StageHeader[];
  readonly tasks: readonly TaskPlace[];
  /** How many of its tasks may be released as it is stored; 0 when it goes in several messages. */
  readonly mostReleases: number;
}

/** Turns a plan into what the store takes. */
export function newRequest(planned: PlannedRequest, frame: RequestFrame): NewRequest {
  const { plan, clusterId } = planned;
  const { idempotencyKey, contentDigest, context, options, schedulerToken } = frame;
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
  return { header, stages, tasks, mostReleases: mostReleases(tasks.length, stages) };
}

/**
 * The messages that make a plan a request in the store: one, or a header, its stages, its tasks in chunks, a commit.
 * @param releases what is released with it; none of a request that goes in several
 */
export async function* createRequestMessages(
  { header, stages, tasks, mostReleases }: NewRequest,
  releases: Making["releases"],
): AsyncGenerator<CreateRequestRequest> {
  const message = (part: MessageInitShape<typeof CreateRequestRequestSchema>["part"] & {}) =>
    create(CreateRequestRequestSchema, { part });
  if (mostReleases > 0) {
    const whole = { header, stages: [...stages], tasks: [...tasks], releases: [...releases] };
    yield message({ case: "whole", value: whole });
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

/** One message, if it can be: each waits until the connection has taken the one before. */
function mostReleases(tasks: number, stages: readonly StageHeader[]): number {
  if (tasks > tasksPerChunk || stages.length > mostStagesInOne) return 0;
  const bytes = stages.map((stage) => toBinary(StageHeaderSchema, stage).length);
  if (bytes.reduce((sum, length) => sum + length, 0) > mostBytesInOne) return 0;
  const commands = stages.flatMap(({ roles }) =>
    roles.map(({ command }) => (command ? toBinary(CommandSpecSchema, command).length : 0)),
  );
  return Math.floor(mostBytesAnswered / (Math.max(...commands) + bytesOfIds));
}

/** A plan as the engine would drive it, were it stored: the ids of its tasks are their places, from 0. */
export function draftOf(planned: PlannedRequest, { header, tasks }: NewRequest): RunContents {
  const request = create(RequestSchema, { ...(header.options && { options: header.options }) });
  return contentsOf(
    planned,
    request,
    tasks.map((_, at) => BigInt(at)),
  );
}

/**
 * What the engine drives, without reading back what was just written.
 * @param released the sessions of the tasks that were released with it, by their ids; all others are PENDING
 */
export function contentsOf(
  planned: PlannedRequest,
  request: Request,
  taskIds: readonly bigint[],
  released: ReadonlyMap<bigint, bigint> = new Map(),
): RunContents {
  const { requestId, version } = request;
  const { options } = request;
  const places = taskPlaces(planned, options?.rolling);
  const tasks = places.map(({ stageId, roleIndex, hostId, batch, role }, at) => {
    const taskId = taskIds[at];
    if (taskId === undefined) throw new Error(`request ${requestId}: task ${at} got no id`);
    const sessionEpoch = released.get(taskId);
    const status: TaskStatus = sessionEpoch === undefined ? Status.PENDING : Status.QUEUED;
    return {
      taskId,
      requestId,
      stageId,
      roleIndex,
      hostId,
      batch,
      timeoutMs: Number(role.spec.timeoutMs),
      status,
      attempt: 1,
      version,
      cancelRequested: false,
      sessionEpoch: sessionEpoch ?? 0n,
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
