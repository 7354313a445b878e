import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type OpenSessionConflict,
  OpenSessionConflictSchema,
  type OpenSessionRequest,
  type OpenSessionResponse,
  OpenSessionResponseSchema,
} from "@howdah/proto/howdah/v1/store_sessions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { liveStatuses } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { inTransaction } from "../database/transaction.js";
import { type LeaseRow, readLease } from "../store/leases.js";
import { lockRequests } from "../store/request-rows.js";
import {
  type HostFacts,
  type HostSession,
  insertHost,
  moveTasksToSession,
  readHostSession,
  updateHost,
  writeSession,
} from "../store/sessions.js";
import { readOpenTasks, readTasks, type TaskRow } from "../store/task-rows.js";
import { assembleCommands, type CommandParts } from "./commands.js";
import { nextTask } from "./next-task.js";
import { policyOf } from "./policy.js";
import { createChangeSet, toTaskChange } from "./task-changes.js";
import { writeChanges } from "./write-changes.js";

/** A session that was opened, or what stands in its way. */
export interface OpenedSession {
  readonly response: OpenSessionResponse;
  /** Requests of which tasks became UNKNOWN. */
  readonly requestIds: readonly number[];
}

/** What a transaction leaves to be answered. */
type Opening =
  | { readonly conflict: OpenSessionConflict; readonly hostId: number }
  | {
      readonly hostId: number;
      readonly sessionEpoch: number;
      readonly tasks: readonly TaskRow[];
      readonly requestIds: readonly number[];
    };

/**
 * Opens a host's next session: one transaction makes or updates the host, gives the session its epoch, gives up on what a lost journal
 * held, and moves the host's open tasks to the new session, so that a report on the old one changes nothing any more.
 */
export async function openSession(
  db: Knex,
  parts: CommandParts,
  storeId: string,
  request: OpenSessionRequest,
  now: number,
): Promise<OpenedSession> {
  const opening = await inTransaction(db, (trx) => open(trx, request, now));
  if ("conflict" in opening) {
    const { conflict, hostId } = opening;
    return {
      response: create(OpenSessionResponseSchema, { storeId, hostId: BigInt(hostId), conflict }),
      requestIds: [],
    };
  }
  const { hostId, sessionEpoch, tasks, requestIds } = opening;
  const listed = new Set(request.listed.map(nameOf));
  const commands = await assembleCommands(
    db,
    parts,
    tasks.filter((task) => task.status === Status.QUEUED && !listed.has(nameOf(task))),
  );
  return {
    response: create(OpenSessionResponseSchema, {
      storeId,
      hostId: BigInt(hostId),
      sessionEpoch: BigInt(sessionEpoch),
      tasks: tasks.map((task) => toTaskChange(task)),
      commands,
    }),
    requestIds,
  };
}

/** The name of an attempt. */
export function nameOf({ taskId, attempt }: { taskId: bigint | number; attempt: number }): string {
  return `${taskId}/${attempt}`;
}

async function open(
  trx: Knex.Transaction,
  request: OpenSessionRequest,
  now: number,
): Promise<Opening> {
  const own = await readLease(trx, request.dispatcher);
  if (own !== undefined && BigInt(own.token) > request.dispatcherToken) {
    throw new ConnectError(
      `dispatcher_token ${request.dispatcherToken} of ${request.dispatcher} is stale, its lease is at ${own.token}`,
      Code.FailedPrecondition,
    );
  }
  const facts = factsOf(request, now);
  const last = await readHostSession(trx, request.hostName);
  if (last?.open) {
    const holder = await readLease(trx, last.dispatcher);
    if (!mayTakeOver(request, last, holder)) {
      return { hostId: last.hostId, conflict: conflictOf(request, last, holder) };
    }
  }
  const hostId = last?.hostId ?? (await insertHost(trx, facts));
  if (last !== undefined) await updateHost(trx, hostId, facts);
  const { dispatcher, dispatcherToken, peerAddress } = request;
  const sessionEpoch = await writeSession(
    trx,
    {
      hostId,
      dispatcher,
      dispatcherToken: Number(dispatcherToken),
      peerAddress,
      openedAt: now,
    },
    last?.sessionEpoch ?? 0,
  );
  const journalLost = last !== undefined && last.journalId !== request.journalId;
  const requestIds = journalLost ? await giveUpLost(trx, hostId, request, now) : [];
  const tasks = await moveTasks(trx, hostId, sessionEpoch, request);
  return { hostId, sessionEpoch, tasks, requestIds };
}

/** What a registration says about its host. */
export function factsOf(request: OpenSessionRequest, now: number): HostFacts {
  const { hostName, agentId, journalId, bootId, agentVersion, labels, factsJson } = request;
  return {
    hostName,
    agentId,
    journalId,
    bootId,
    agentVersion,
    labels: JSON.stringify(labels),
    facts: factsJson || "{}",
    registeredAt: now,
  };
}

function isSameAgent(request: OpenSessionRequest, last: HostSession): boolean {
  return request.agentId === last.agentId && request.journalId === last.journalId;
}

/** Whether the host's open session gives way. */
export function mayTakeOver(
  request: OpenSessionRequest,
  last: HostSession,
  holder: LeaseRow | undefined,
): boolean {
  // The dispatcher that held it has restarted, or nobody answers for it any more: there is no stream to be probed.
  const restarted =
    request.dispatcher === last.dispatcher && request.dispatcherToken > last.dispatcherToken;
  const gone = holder === undefined || holder.holder === "" || holder.token > last.dispatcherToken;
  if (restarted || gone) return true;
  return request.takeoverEpoch === BigInt(last.sessionEpoch) && isSameAgent(request, last);
}

function conflictOf(
  request: OpenSessionRequest,
  last: HostSession,
  holder: LeaseRow | undefined,
): OpenSessionConflict {
  return create(OpenSessionConflictSchema, {
    sessionEpoch: BigInt(last.sessionEpoch),
    dispatcher: last.dispatcher,
    dispatcherAddress: holder?.address ?? "",
    peerAddress: last.peerAddress,
    sameAgent: isSameAgent(request, last),
  });
}

/** What a journal held that is gone: nobody can tell whether it ran. Gives the ids of the requests that changed. */
async function giveUpLost(
  trx: Knex.Transaction,
  hostId: number,
  { listed }: OpenSessionRequest,
  now: number,
): Promise<number[]> {
  const known = new Set(listed.map(nameOf));
  const isLost = (task: TaskRow) => liveStatuses.has(task.status) && !known.has(nameOf(task));
  const seen = (await readOpenTasks(trx, hostId)).filter(isLost);
  const requestIds = [...new Set(seen.map(({ requestId }) => requestId))].sort((a, b) => a - b);
  const requests = await lockRequests(trx, requestIds);
  // Read again: until their requests were locked these may have moved on.
  const tasks = await readTasks(
    trx,
    seen.map(({ taskId }) => taskId),
  );
  const changes = createChangeSet(requests, tasks);
  for (const task of tasks.values()) {
    const request = requests.get(task.requestId);
    if (request === undefined || !isLost(task)) continue;
    const details = { now, reason: "the journal of its host's agent is gone" };
    const next = nextTask(task, TaskEvent.JOURNAL_LOST, request, policyOf(request, task), details);
    if (next.kind === "changed") changes.change(next.task);
  }
  await writeChanges(trx, changes, now);
  return requestIds;
}

/** Moves the host's open tasks to its new session, and gives them and the listed ones in (request, stage, task) order. */
async function moveTasks(
  trx: Knex.Transaction,
  hostId: number,
  sessionEpoch: number,
  { listed }: OpenSessionRequest,
): Promise<TaskRow[]> {
  const open = await readOpenTasks(trx, hostId);
  const openIds = open.map(({ taskId }) => taskId).sort((a, b) => a - b);
  await moveTasksToSession(trx, openIds, sessionEpoch);
  const wanted = new Set([...openIds, ...listed.map(({ taskId }) => Number(taskId))]);
  const tasks = await readTasks(trx, [...wanted]);
  return [...tasks.values()]
    .filter((task) => task.hostId === hostId)
    .sort((a, b) => a.requestId - b.requestId || a.stageId - b.stageId || a.taskId - b.taskId);
}
