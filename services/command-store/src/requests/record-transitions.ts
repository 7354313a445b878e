import { create } from "@bufbuild/protobuf";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type RecordTransitionsRequest,
  type RequestTransitions,
  type RequestTransitionsResult,
  RequestTransitionsResultSchema,
  type TaskTransition,
} from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { table } from "@howdah/state/transitions";
import type { Knex } from "knex";
import type { Database } from "../database/together.js";
import { inTransaction } from "../database/transaction.js";
import { lockOwnedRequests, type OwnedRequests, type RequestRow } from "../store/request-rows.js";
import type { TaskRow } from "../store/task-rows.js";
import { assembleCommands, type CommandParts } from "./commands.js";
import { nextTask } from "./next-task.js";
import { policyOf } from "./policy.js";
import { markAborted, markPaused, nextRun, shortened } from "./request-marks.js";
import { type ChangeSet, createChangeSet, toTaskChange } from "./task-changes.js";
import { writeChanges } from "./write-changes.js";

/** A part of the batch, and what it came to. */
interface Part {
  readonly requestId: number;
  /** As committed; absent when a higher token owns it or it does not exist. */
  readonly request: RequestRow | undefined;
  /** The tasks that changed, and those that were released already as the part says. */
  readonly tasks: readonly TaskRow[];
  /** Those that were to be released, and are, in the order asked for. */
  readonly released: readonly TaskRow[];
}

/**
 * Commits what the scheduler decided: one transaction for all parts, a constant number of statements. A part whose request a higher
 * token owns changes nothing; a transition whose task is not as it says is skipped. RELEASED and RETRIED may be repeated: the answer
 * has the task, and its command, again. Commands come in the order in which they were asked for: a host runs what is urgent first.
 */
export async function recordTransitions(
  db: Knex,
  commandParts: CommandParts,
  { schedulerToken, requests }: RecordTransitionsRequest,
  now: number,
): Promise<RequestTransitionsResult[]> {
  const token = Number(schedulerToken);
  const parts = await inTransaction(db, async (trx) => {
    const requestIds = requests.map(({ requestId }) => Number(requestId));
    // Under the lock of their requests nobody else changes the tasks.
    const locked = await lockOwnedRequests(trx, requestIds, token, taskIdsOf(requests));
    const bindingIds = await bindingsOf(trx, commandParts, requests, locked);
    const changes = createChangeSet(locked);
    const applied = requests.map((part) => applyPart(part, changes, bindingIds, now));
    await writeChanges(trx, changes, now);
    return applied.map(({ requestId, touched, released }): Part => {
      const current = (ids: ReadonlySet<number>) =>
        [...ids].flatMap((id) => changes.task(id) ?? []);
      return {
        requestId,
        request: changes.requests.get(requestId),
        tasks: current(touched),
        released: current(released).filter(({ status }) => status === Status.QUEUED),
      };
    });
  });
  // Commands never change, so they need not be read while the requests are locked.
  const commands = await assembleCommands(
    db,
    commandParts,
    parts.flatMap(({ released }) => released),
  );
  return parts.map(({ requestId, request, tasks }) =>
    create(RequestTransitionsResultSchema, {
      requestId: BigInt(requestId),
      staleOwner: request === undefined,
      changes: tasks.map((task) => toTaskChange(task)),
      commands: commands.filter((command) => command.requestId === BigInt(requestId)),
      version: BigInt(request?.version ?? 0),
      requestStatus: request?.status ?? Status.UNSPECIFIED,
      paused: request?.paused ?? false,
      aborted: request !== undefined && (request.aborted || request.cancelRequested),
    }),
  );
}

function taskIdsOf(parts: readonly RequestTransitions[]): number[] {
  const ids = parts.flatMap(({ transitions }) => transitions.map(({ taskId }) => Number(taskId)));
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** The binding of each cluster of which a task is released. */
async function bindingsOf(
  db: Database,
  { bindings }: CommandParts,
  parts: readonly RequestTransitions[],
  { requests, clusters }: OwnedRequests,
): Promise<(clusterId: number) => number> {
  const released = new Set<number>();
  for (const { requestId, transitions } of parts) {
    const releases = transitions.some(({ event }) => event === TaskEvent.RELEASED);
    if (releases) released.add(requests.get(Number(requestId))?.clusterId ?? 0);
  }
  const wanted = clusters.filter(({ clusterId }) => released.has(clusterId));
  const found = await bindings.ofClusters(db, wanted);
  return (clusterId) => found.get(clusterId)?.bindingId ?? 0;
}

function applyPart(
  part: RequestTransitions,
  changes: ChangeSet,
  bindingOf: (clusterId: number) => number,
  now: number,
): { requestId: number; touched: Set<number>; released: Set<number> } {
  const requestId = Number(part.requestId);
  const touched = new Set<number>();
  const released = new Set<number>();
  const stored = changes.requests.get(requestId);
  if (stored === undefined) return { requestId, touched, released };
  const request = marked(stored, part, changes);
  changes.requests.set(requestId, request);
  const isNextRun = request.run > stored.run;
  const bindingId = bindingOf(request.clusterId);
  for (const transition of part.transitions) {
    const task = changes.task(Number(transition.taskId));
    if (task !== undefined && isRetriedAlready(transition, task, stored)) touched.add(task.taskId);
    if (task === undefined || !fits(transition, task, requestId)) continue;
    if (transition.event === TaskEvent.RETRIED && !isNextRun) continue;
    const again = isReleasedAgain(transition, task);
    const kind = again
      ? releaseAgain(transition, task, changes)
      : applyTransition(transition, task, changes, { request, bindingId, now });
    if (kind !== "changed" && !again) continue;
    touched.add(task.taskId);
    if (transition.event === TaskEvent.RELEASED) released.add(task.taskId);
  }
  return { requestId, touched, released };
}

/** The request as the part's marks leave it, before its transitions. */
function marked(
  request: RequestRow,
  { abort, pause, newRun, transitions }: RequestTransitions,
  changes: ChangeSet,
): RequestRow {
  if (newRun) {
    const retries = transitions.some((transition) => {
      const task = changes.task(Number(transition.taskId));
      return task !== undefined && isRetry(transition, task, request.requestId);
    });
    // A run without a task would be over before it began; and what is repeated begins no second one.
    return retries && !request.open ? nextRun(request) : request;
  }
  const aborted = abort === undefined ? request : markAborted(request, abort);
  return pause === undefined ? aborted : markPaused(aborted, pause);
}

function isRetry(transition: TaskTransition, task: TaskRow, requestId: number): boolean {
  return (
    transition.event === TaskEvent.RETRIED &&
    fits(transition, task, requestId) &&
    table[task.status][TaskEvent.RETRIED] !== undefined
  );
}

function fits(
  { attempt, hostId, event, sessionEpoch }: TaskTransition,
  task: TaskRow,
  requestId: number,
): boolean {
  const host = hostId === 0n || hostId === BigInt(task.hostId);
  // Handed back by the dispatcher of one session, it may have been sent on the next one meanwhile.
  const session = event !== TaskEvent.NEVER_STARTED || sessionEpoch === BigInt(task.sessionEpoch);
  return task.requestId === requestId && task.attempt === attempt && host && session;
}

/** The run that the transition begins has begun: the answer to it was lost, and says again how the task is. */
function isRetriedAlready(
  { event, attempt }: TaskTransition,
  task: TaskRow,
  { requestId, open }: RequestRow,
): boolean {
  const isNext = task.status === Status.PENDING && task.attempt === attempt + 1;
  return event === TaskEvent.RETRIED && open && isNext && task.requestId === requestId;
}

/** A task that is released already is to be sent once more, on the session it was released to or a newer one. */
function isReleasedAgain({ event, sessionEpoch }: TaskTransition, task: TaskRow): boolean {
  return (
    event === TaskEvent.RELEASED &&
    task.status === Status.QUEUED &&
    sessionEpoch >= BigInt(task.sessionEpoch)
  );
}

function releaseAgain(
  { sessionEpoch }: TaskTransition,
  task: TaskRow,
  changes: ChangeSet,
): "changed" | "known" {
  if (BigInt(task.sessionEpoch) === sessionEpoch) return "known";
  changes.change({ ...task, sessionEpoch: Number(sessionEpoch) });
  return "changed";
}

function applyTransition(
  { event, sessionEpoch, reason }: TaskTransition,
  task: TaskRow,
  changes: ChangeSet,
  context: { request: RequestRow; bindingId: number; now: number },
): "changed" | "known" | "refused" {
  const { request, bindingId, now } = context;
  const next = nextTask(task, event, request, policyOf(request, task), {
    now,
    sessionEpoch: Number(sessionEpoch),
    bindingId,
    reason: shortened(reason),
  });
  if (next.kind === "changed") changes.change(next.task, next.superseded);
  return next.kind;
}
