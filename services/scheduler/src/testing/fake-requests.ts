import { create, equals, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CommandSpec } from "@howdah/proto/howdah/v1/command";
import { OnExceeded, RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type { Request, StageRoleSchema, Task } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import type {
  CreateRequestRequest,
  RequestHeader,
  TaskRelease,
  TaskSpec,
} from "@howdah/proto/howdah/v1/store_request_creation";
import {
  type RecordTransitionsRequest,
  RecordTransitionsRequestSchema,
} from "@howdah/proto/howdah/v1/store_transitions";
import { type TaskChange, TaskChangeSchema } from "@howdah/proto/howdah/v1/task_change";
import { exceededBudget, hasBudget } from "@howdah/state/failure-budget";
import { policyOf } from "@howdah/state/retry-policy";
import { failedStatuses, isDone, type TaskStatus } from "@howdah/state/statuses";

/** A request of the store. */
export interface Stored {
  readonly request: Request;
  readonly stages: { roles: MessageInitShape<typeof StageRoleSchema>[] }[];
  readonly tasks: Task[];
  /** What each stage's roles share, in order. */
  readonly commands: CommandSpec[];
  readonly header?: RequestHeader;
  ownerToken: bigint;
  /** Its failures that count no longer: those that there were when it was last resumed. */
  forgiven?: number;
}

/** What the messages of CreateRequest make a request of. */
export async function readRequest(messages: AsyncIterable<CreateRequestRequest>) {
  let header: RequestHeader | undefined;
  const stages: Stored["stages"] = [];
  const specs: TaskSpec[] = [];
  const commands: CommandSpec[] = [];
  const releases: TaskRelease[] = [];
  for await (const { part } of messages) {
    const whole = part.case === "whole" ? part.value : undefined;
    if (part.case === "header") header = part.value;
    header ??= whole?.header;
    releases.push(...(whole?.releases ?? []));
    if (part.case === "tasks" || part.case === "whole") specs.push(...part.value.tasks);
    for (const { roles } of part.case === "stage" ? [part.value] : (whole?.stages ?? [])) {
      commands.push(...roles.flatMap(({ command }) => command ?? []));
      stages.push({
        roles: roles.map(({ role, roleCommand, successFactor, blockers }) => ({
          ...{ role, roleCommand, successFactor, blockers },
        })),
      });
    }
  }
  if (header === undefined) throw new ConnectError("no header", Code.InvalidArgument);
  return { header, stages, specs, commands, releases };
}

/** What its tasks come to. */
export function rollUp({ request, tasks }: Stored): void {
  const over = tasks.every(({ status }) => isDone(status));
  request.progressPercent = over ? 100 : 0;
  request.status = over ? Status.COMPLETED : Status.IN_PROGRESS;
}

/** Pauses or aborts a request whose failures, but for those that were forgiven, exceed its budget. */
export function spend({ request, tasks, forgiven = 0 }: Stored): void {
  const { rolling } = request.options ?? {};
  const failures = tasks.filter(({ status }) => failedStatuses.has(status)).length;
  if (!hasBudget(rolling) || request.paused || isOver(request)) return;
  const spent = { failures: failures - forgiven, tasks: tasks.length, batches: [] };
  const reason = exceededBudget(rolling, spent);
  if (reason === undefined) return;
  if (rolling.onExceeded === OnExceeded.ABORT) {
    request.aborted = true;
    request.abortReason = reason;
  } else {
    request.paused = true;
    request.pauseReason = reason;
  }
}

/** Whether it is to end. */
export function isOver({ cancelRequested, aborted }: Request): boolean {
  return cancelRequested || aborted;
}

/** A task as transitions see it. */
export function stateOf({ status, attempt, cancelRequested }: Task, request: Request) {
  return { status: status as TaskStatus, attempt, cancelRequested, requestOver: isOver(request) };
}

/** What a request says about the failures of a task. */
export function policyFor({ request, stages }: Stored, task: Task) {
  const roles = stages[task.stageId]?.roles ?? [];
  const manual = roles.some(({ role, manual }) => role === task.role && manual);
  return policyOf(request.options ?? create(RequestOptionsSchema), task, manual);
}

/** Moves a task. */
export function move(task: Task, to: { status: Status; attempt: number }, version: bigint): void {
  task.status = to.status;
  task.attempt = to.attempt;
  task.changeVersion = version;
  if (isDone(to.status)) task.cancelRequested = false;
}

/** A task as dispatchers tell of it. */
export function toChange(task: Task): TaskChange {
  return create(TaskChangeSchema, {
    taskId: task.taskId,
    requestId: task.requestId,
    stageId: task.stageId,
    hostId: task.hostId,
    status: task.status,
    attempt: task.attempt,
    version: task.changeVersion,
    cancelRequested: task.cancelRequested,
    sessionEpoch: task.sessionEpoch,
  });
}

/** Whether two calls of RecordTransitions say the same. */
export function sameCall(
  a: RecordTransitionsRequest | undefined,
  b: RecordTransitionsRequest | undefined,
): boolean {
  return a !== undefined && b !== undefined && equals(RecordTransitionsRequestSchema, a, b);
}
