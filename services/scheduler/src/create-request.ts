import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CreateRequestRequest,
  CreateRequestRequestSchema,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { RequestOptions } from "@howdah/proto/howdah/v1/operation";
import type { Request } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { RunContents } from "./engine/run-contents.js";
import { backoffOf, runOptions } from "./engine/run-options.js";
import { type PlannedRequest, skippedOf } from "./plan-request.js";
import type { PlannedRole } from "./planner/plan-operation.js";

/** Tasks in one message to the store. */
const tasksPerChunk = 1_000;

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
  readonly role: PlannedRole;
}

/** The tasks of a plan, in the order in which the store gives them ids: stage, role, host. */
function* taskPlaces({ plan, hostIds }: PlannedRequest): Generator<TaskPlace> {
  for (const [stageId, stage] of plan.stages.entries()) {
    for (const [roleIndex, role] of stage.roles.entries()) {
      for (const host of role.hosts) {
        const hostId = hostIds.get(host);
        if (hostId === undefined)
          throw new Error(`the plan names host ${host}, which is not known`);
        yield { stageId, roleIndex, hostId, role };
      }
    }
  }
}

/** The messages that make a plan a request in the store: a header, its stages, its tasks in chunks, a commit. */
export async function* createRequestMessages(
  planned: PlannedRequest,
  frame: RequestFrame,
): AsyncGenerator<CreateRequestRequest> {
  const { plan, clusterId } = planned;
  const { idempotencyKey, contentDigest, context, options, schedulerToken } = frame;
  const message = (part: MessageInitShape<typeof CreateRequestRequestSchema>["part"] & {}) =>
    create(CreateRequestRequestSchema, { part });
  yield message({
    case: "header",
    value: {
      idempotencyKey,
      contentDigest,
      context,
      clusterId,
      options,
      skippedHosts: skippedOf(plan),
      schedulerToken,
    },
  });
  for (const [stageId, stage] of plan.stages.entries()) {
    const roles = stage.roles.map(({ role, roleCommand, successFactor, spec }) => ({
      role,
      roleCommand,
      successFactor,
      command: spec,
    }));
    yield message({ case: "stage", value: { stageId, roles } });
  }
  let chunk: { stageId: number; roleIndex: number; hostId: bigint }[] = [];
  let taskCount = 0;
  for (const { stageId, roleIndex, hostId } of taskPlaces(planned)) {
    chunk.push({ stageId, roleIndex, hostId });
    taskCount += 1;
    if (chunk.length < tasksPerChunk) continue;
    yield message({ case: "tasks", value: { tasks: chunk } });
    chunk = [];
  }
  if (chunk.length > 0) yield message({ case: "tasks", value: { tasks: chunk } });
  yield message({ case: "commit", value: { taskCount } });
}

/** What the engine drives, without reading back what was just written. */
export function contentsOf(
  planned: PlannedRequest,
  request: Request,
  taskIds: readonly bigint[],
): RunContents {
  const { requestId, version } = request;
  const tasks = [...taskPlaces(planned)].map(({ stageId, roleIndex, hostId, role }, at) => {
    const taskId = taskIds[at];
    if (taskId === undefined) throw new Error(`request ${requestId}: task ${at} got no id`);
    return {
      taskId,
      requestId,
      stageId,
      roleIndex,
      hostId,
      batch: 0,
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
    options: runOptions(request.options),
    ...{ stopping: false, cancelRequested: false, reason: "", paused: false, pauseReason: "" },
    stages: planned.plan.stages.map(({ roles }) => ({
      roles: roles.map((role) => {
        const backoff = backoffOf(request.options, role);
        return {
          ...{ name: role.role, successFactor: role.successFactor, manual: false },
          blockers: [],
          ...(backoff && { backoff }),
        };
      }),
    })),
    tasks,
  };
}
