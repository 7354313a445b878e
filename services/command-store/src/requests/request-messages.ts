import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { RequestOptionsSchema, type Times, TimesSchema } from "@howdah/proto/howdah/v1/operation";
import {
  type Request,
  RequestSchema,
  type Stage,
  StageSchema,
  type Task,
  type TaskCounts,
  TaskCountsSchema,
  TaskSchema,
} from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type TaskAttempt, TaskAttemptSchema } from "@howdah/proto/howdah/v1/store_request_reading";
import { type Counts, count, sum, total } from "@howdah/state/counts";
import { inPlaceRetryMs } from "@howdah/state/in-place-retries";
import type { AttemptRow, ListedTask } from "../store/list-tasks.js";
import type { StoredRequest, StoredStage } from "../store/read-requests.js";
import type { SharedCommand } from "../store/stage-headers.js";

/** The time-out of a command that names none. */
const defaultTimeoutMs = 900_000n;

/** A request as callers get it, at `now` by this process's clock, as the times in it are. */
export function toRequestMessage(request: StoredRequest, counts: Counts, now: number): Request {
  return create(RequestSchema, {
    requestId: BigInt(request.requestId),
    context: request.context,
    idempotencyKey: request.idempotencyKey,
    cluster: request.cluster,
    status: request.status,
    displayStatus: request.displayStatus,
    progressPercent: request.progress,
    counts: toCountsMessage(counts),
    times: toTimes(request),
    version: BigInt(request.version),
    options: fromBinary(RequestOptionsSchema, request.options),
    skippedHosts: fromBinary(RequestSchema, request.skippedHosts).skippedHosts,
    cancelRequested: request.cancelRequested,
    aborted: request.aborted || request.cancelRequested,
    abortReason: request.abortReason,
    ageMs: BigInt(Math.max(0, now - request.createTime)),
    stageCount: request.stageCount,
    run: request.run,
    paused: request.paused,
    pauseReason: request.pauseReason,
  });
}

/** A stage as callers get it. `shared`: what it was made with, by role. */
export function toStageMessage(stage: StoredStage, shared: readonly SharedCommand[]): Stage {
  return create(StageSchema, {
    requestId: BigInt(stage.requestId),
    stageId: stage.stageId,
    status: stage.status,
    displayStatus: stage.displayStatus,
    counts: toCountsMessage(sum(stage.roles.map(({ counts }) => counts))),
    roles: stage.roles.map((role, index) => ({
      ...role,
      counts: toCountsMessage(role.counts),
      blockers: shared[index]?.role.blockers ?? [],
      manual: shared[index]?.role.manual ?? false,
      background: shared[index]?.role.command?.background ?? false,
      retryMs: BigInt(inPlaceRetryMs(shared[index]?.role.command)),
    })),
    times: toTimes(stage),
  });
}

/** What is known of a task beside its row. */
export interface TaskExtras {
  /** What its role's commands share; absent while nobody needs it. */
  readonly shared: SharedCommand | undefined;
  /** How much of its current attempt's output is stored; what its agent declared is used where these are absent. */
  readonly stdoutLength?: number | undefined;
  readonly stderrLength?: number | undefined;
}

/** A task as callers get it. */
export function toTaskMessage(task: ListedTask, extras: TaskExtras): Task {
  const { role, roleCommand, command } = extras.shared?.role ?? {};
  return create(TaskSchema, {
    taskId: BigInt(task.taskId),
    requestId: BigInt(task.requestId),
    stageId: task.stageId,
    hostId: BigInt(task.hostId),
    hostName: task.hostName,
    role: role ?? "",
    roleCommand: roleCommand ?? 0,
    customCommand: command?.customCommand ?? "",
    status: task.status,
    attempt: task.attempt,
    ...(task.exitCode === null ? {} : { exitCode: task.exitCode }),
    reason: task.reason ?? "",
    times: toTimes(task),
    queuedAtMs: BigInt(task.queueTime),
    changeVersion: BigInt(task.changeVersion),
    cancelRequested: task.cancelRequested,
    stdoutLength: BigInt(extras.stdoutLength ?? task.stdoutLength ?? 0),
    stderrLength: BigInt(extras.stderrLength ?? task.stderrLength ?? 0),
    sessionEpoch: BigInt(task.sessionEpoch),
    timeoutMs: command?.timeoutMs || defaultTimeoutMs,
    batch: task.batch,
    receivedAtMs: BigInt(task.receiveTime),
    reportedAtMs: BigInt(task.reportTime),
  });
}

/** A superseded attempt as callers get it. */
export function toAttemptMessage({ exitCode, ...row }: AttemptRow): TaskAttempt {
  return create(TaskAttemptSchema, {
    attempt: row.attempt,
    status: row.status,
    ...(exitCode === null ? {} : { exitCode }),
    startedAtMs: BigInt(row.startTime),
    endedAtMs: BigInt(row.endTime),
    reason: row.reason ?? "",
    queuedAtMs: BigInt(row.queueTime),
    sessionEpoch: BigInt(row.sessionEpoch),
  });
}

function toCountsMessage(counts: Counts): TaskCounts {
  return create(TaskCountsSchema, {
    total: total(counts),
    pending: count(counts, Status.PENDING),
    queued: count(counts, Status.QUEUED),
    inProgress: count(counts, Status.IN_PROGRESS),
    holding: count(counts, Status.HOLDING),
    completed: count(counts, Status.COMPLETED),
    failed: count(counts, Status.FAILED),
    holdingFailed: count(counts, Status.HOLDING_FAILED),
    timedout: count(counts, Status.TIMEDOUT),
    holdingTimedout: count(counts, Status.HOLDING_TIMEDOUT),
    aborted: count(counts, Status.ABORTED),
    skippedFailed: count(counts, Status.SKIPPED_FAILED),
    unknown: count(counts, Status.UNKNOWN),
  });
}

function toTimes(times: { createTime?: number; startTime: number; endTime: number }): Times {
  const { createTime = 0, startTime, endTime } = times;
  return create(TimesSchema, {
    ...(createTime > 0 ? { createdAt: timestampFromMs(createTime) } : {}),
    ...(startTime > 0 ? { startedAt: timestampFromMs(startTime) } : {}),
    ...(endTime > 0 ? { endedAt: timestampFromMs(endTime) } : {}),
  });
}
