import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ExecutionCommand, ExecutionCommandSchema } from "@howdah/proto/howdah/v1/command";
import type { Task } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import type {
  RequestTransitions,
  RequestTransitionsResultSchema,
  TaskTransition,
} from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { failedStatuses, isDone } from "@howdah/state/statuses";
import { transition } from "@howdah/state/transitions";
import {
  isOver,
  move,
  policyFor,
  rollUp,
  type Stored,
  stateOf,
  toChange,
} from "./fake-requests.js";

/** How transitions are applied. */
export interface Applying {
  /** Who says so. */
  readonly token: bigint;
  /** Those that are skipped although they would do. */
  readonly skip: (transition: TaskTransition) => boolean;
  /** How many bytes each command is padded with. */
  readonly padding: number;
}

/** Applies what a call of RecordTransitions says of one request, by the rules of the store, and answers. */
export function applyTransitions(
  stored: Stored | undefined,
  part: RequestTransitions,
  { token, skip, padding }: Applying,
): MessageInitShape<typeof RequestTransitionsResultSchema> {
  const { requestId } = part;
  if (stored === undefined || stored.ownerToken > token) return { requestId, staleOwner: true };
  const { request } = stored;
  stored.ownerToken = token;
  request.version += 1n;
  mark(stored, part);
  const touched = part.transitions.flatMap((one) => {
    const task = skip(one) ? undefined : applyOne(stored, one);
    return task === undefined ? [] : [{ task, released: one.event === TaskEvent.RELEASED }];
  });
  rollUp(stored);
  return {
    ...{ requestId, version: request.version, paused: request.paused, aborted: isOver(request) },
    changes: touched.map(({ task }) => toChange(task)),
    commands: touched.flatMap(({ task, released }) =>
      released && task.status === Status.QUEUED ? [commandOf(task, padding)] : [],
    ),
  };
}

function mark(stored: Stored, { abort, pause, newRun, transitions }: RequestTransitions): void {
  const { request, tasks } = stored;
  const failed = tasks.filter(({ status }) => failedStatuses.has(status)).length;
  if (abort !== undefined) {
    request.aborted = true;
    request.cancelRequested ||= abort.cancelled;
    request.abortReason ||= abort.reason;
  }
  if (pause !== undefined) {
    request.paused = pause.paused;
    request.pauseReason = pause.reason;
    if (!pause.paused) stored.forgiven = failed;
  }
  if (newRun && transitions.length > 0 && tasks.every(({ status }) => isDone(status))) {
    request.run += 1;
    request.cancelRequested = false;
    request.paused = false;
    request.aborted = false;
    request.abortReason = "";
  }
}

/** The task that it has moved, or which it may; undefined when it is skipped. */
function applyOne(stored: Stored, one: TaskTransition): Task | undefined {
  const { request, tasks } = stored;
  const task = tasks.find(({ taskId }) => taskId === one.taskId);
  if (task === undefined) return undefined;
  if (task.attempt !== one.attempt || task.hostId !== one.hostId) return undefined;
  const { event, sessionEpoch } = one;
  if (event === TaskEvent.NEVER_STARTED && sessionEpoch !== task.sessionEpoch) return undefined;
  const released = event === TaskEvent.RELEASED;
  const halted = isOver(request) || request.paused;
  if (released && halted && task.status === Status.PENDING) return undefined;
  const outcome = transition(stateOf(task, request), event, policyFor(stored, task));
  if (outcome.kind === "refused") return undefined;
  if (outcome.kind === "known" && !(released && sessionEpoch >= task.sessionEpoch)) {
    return undefined;
  }
  if (outcome.kind === "cancel-requested") task.cancelRequested = true;
  if (outcome.kind === "move") move(task, outcome, request.version);
  if (released) task.sessionEpoch = sessionEpoch;
  if (outcome.kind !== "known") task.changeVersion = request.version;
  return task;
}

/** The command of a task that is released. */
export function commandOf(task: Task, padding: number): ExecutionCommand {
  const { taskId, attempt, requestId, stageId, hostId, role, cancelRequested } = task;
  return create(ExecutionCommandSchema, {
    ...{ taskId, attempt, requestId, stageId, hostId, role, cancelRequested },
    spec: { argv: ["x".repeat(padding)] },
  });
}
