import { create } from "@bufbuild/protobuf";
import {
  type RecordTransitionsRequest,
  type RequestTransitions,
  type RequestTransitionsResult,
  RequestTransitionsResultSchema,
  TaskEvent,
  type TaskTransition,
} from "@howdah/proto/howdah/v1/command_store_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { Policy } from "@howdah/state/transitions";
import type { Knex } from "knex";
import { assembleCommands, type CommandParts } from "./commands.js";
import { nextTask } from "./next-task.js";
import { policyOf } from "./policy.js";
import { lockOwnedRequests, type RequestRow } from "./store/request-rows.js";
import { readTasks, type TaskRow } from "./store/task-rows.js";
import { type ChangeSet, createChangeSet, toTaskChange } from "./task-changes.js";
import { inTransaction } from "./transaction.js";
import { writeChanges } from "./write-changes.js";

/** A part of the batch, and what it came to. */
interface Part {
  readonly requestId: number;
  /** As committed; absent when a higher token owns it or it does not exist. */
  readonly request: RequestRow | undefined;
  /** The tasks that changed, and those that were released already as the part says. */
  readonly tasks: readonly TaskRow[];
  /** Those that were to be released, and are. */
  readonly released: readonly TaskRow[];
}

/**
 * Commits what the scheduler decided: one transaction for all parts, a constant number of statements. A part whose request a higher
 * token owns changes nothing; a transition whose task is not as it says is skipped. RELEASED may be repeated: the answer has the
 * task and its command again.
 */
export async function recordTransitions(
  db: Knex,
  commandParts: CommandParts,
  { schedulerToken, requests }: RecordTransitionsRequest,
  now: number,
): Promise<RequestTransitionsResult[]> {
  const token = Number(schedulerToken);
  const parts = await inTransaction(db, async (trx) => {
    const requestIds = requests.map(({ requestId }) => Number(requestId)).sort((a, b) => a - b);
    const owned = await lockOwnedRequests(trx, requestIds, token);
    // Under the lock of their requests nobody else changes these.
    const tasks = await readTasks(trx, taskIdsOf(requests, owned));
    const bindingIds = await bindingsOf(trx, commandParts, requests, owned);
    const changes = createChangeSet(owned, tasks);
    const applied = requests.map((part) => applyPart(part, changes, bindingIds, now));
    await writeChanges(trx, changes, now);
    return applied.map(({ requestId, touched, released }): Part => {
      const current = (ids: ReadonlySet<number>) =>
        [...ids].sort((a, b) => a - b).flatMap((id) => changes.task(id) ?? []);
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
      changes: tasks.map(toTaskChange),
      commands: commands.filter((command) => command.requestId === BigInt(requestId)),
      version: BigInt(request?.version ?? 0),
      requestStatus: request?.status ?? Status.UNSPECIFIED,
    }),
  );
}

function taskIdsOf(
  parts: readonly RequestTransitions[],
  owned: ReadonlyMap<number, RequestRow>,
): number[] {
  const ids = parts
    .filter(({ requestId }) => owned.has(Number(requestId)))
    .flatMap(({ transitions }) => transitions.map(({ taskId }) => Number(taskId)));
  return [...new Set(ids)].sort((a, b) => a - b);
}

/** The binding of each cluster of which a task is released. */
async function bindingsOf(
  db: Knex,
  { bindings }: CommandParts,
  parts: readonly RequestTransitions[],
  owned: ReadonlyMap<number, RequestRow>,
): Promise<(clusterId: number) => number> {
  const clusterIds = new Set<number>();
  for (const { requestId, transitions } of parts) {
    const clusterId = owned.get(Number(requestId))?.clusterId ?? 0;
    const releases = transitions.some(({ event }) => event === TaskEvent.RELEASED);
    if (clusterId !== 0 && releases) clusterIds.add(clusterId);
  }
  const found = await bindings.ofClusters(db, [...clusterIds]);
  return (clusterId) => found.get(clusterId)?.bindingId ?? 0;
}

function applyPart(
  { requestId: id, abort, transitions }: RequestTransitions,
  changes: ChangeSet,
  bindingOf: (clusterId: number) => number,
  now: number,
): { requestId: number; touched: Set<number>; released: Set<number> } {
  const requestId = Number(id);
  const touched = new Set<number>();
  const released = new Set<number>();
  const request = aborted(changes.requests.get(requestId), abort);
  if (request === undefined) return { requestId, touched, released };
  changes.requests.set(requestId, request);
  const policy = policyOf(request);
  const bindingId = bindingOf(request.clusterId);
  for (const transition of transitions) {
    const task = changes.task(Number(transition.taskId));
    if (task === undefined || !fits(transition, task, requestId)) continue;
    const again = isReleasedAgain(transition, task);
    const kind = again
      ? releaseAgain(transition, task, changes)
      : applyTransition(transition, task, changes, { request, policy, bindingId, now });
    if (kind !== "changed" && !again) continue;
    touched.add(task.taskId);
    if (transition.event === TaskEvent.RELEASED) released.add(task.taskId);
  }
  return { requestId, touched, released };
}

function aborted(
  request: RequestRow | undefined,
  abort: RequestTransitions["abort"],
): RequestRow | undefined {
  if (request === undefined || abort === undefined || !request.open) return request;
  return {
    ...request,
    aborted: true,
    cancelRequested: request.cancelRequested || abort.cancelled,
    // The first reason is the one that stopped it.
    abortReason: request.abortReason || abort.reason.slice(0, 255),
  };
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
  context: { request: RequestRow; policy: Policy; bindingId: number; now: number },
): "changed" | "known" | "refused" {
  const { request, policy, bindingId, now } = context;
  const next = nextTask(task, event, request, policy, {
    now,
    sessionEpoch: Number(sessionEpoch),
    bindingId,
    reason: reason.slice(0, 255),
  });
  if (next.kind === "changed") changes.change(next.task, next.superseded);
  return next.kind;
}
