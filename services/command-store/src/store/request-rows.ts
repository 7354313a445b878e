import type { OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { TaskStatus } from "@howdah/state/statuses";
import type { Answer, Statement } from "../database/statement.js";
import { type Transaction, together } from "../database/together.js";
import { type ClusterDigests, selectClusterDigests } from "./bindings.js";
import { selectTasks, type TaskRow, tasksOf } from "./task-rows.js";

/** A row of request, as far as what happens to its tasks depends on it or changes it. */
export interface RequestRow {
  readonly requestId: number;
  readonly version: number;
  readonly ownerToken: number;
  /** Not over: some of its tasks wait, run or are held. */
  readonly open: boolean;
  readonly status: TaskStatus;
  readonly displayStatus: TaskStatus;
  readonly progress: number;
  readonly run: number;
  readonly clusterId: number;
  readonly cancelRequested: boolean;
  /** A role of it failed for good, or it was cancelled: nothing of it is released any more. */
  readonly aborted: boolean;
  readonly abortReason: string;
  /** Nothing of it is released until a person resumes it. */
  readonly paused: boolean;
  readonly pauseReason: string;
  /** How many of its tasks failed since its run began or was last resumed. */
  readonly budgetFailures: number;
  /** ABORT or another, never UNSPECIFIED. */
  readonly onFailure: OnFailure;
  /** A serialised howdah.v1.RequestOptions. */
  readonly options: Buffer;
  readonly startTime: number;
  readonly endTime: number;
}

/**
 * Gives requests their next version. The lock on their rows serialises all who change the same request, so this comes first in every
 * transaction that does, and all at once, in the order of their ids.
 */
export async function lockRequests(
  trx: Transaction,
  requestIds: readonly number[],
): Promise<Map<number, RequestRow>> {
  if (requestIds.length === 0) return new Map();
  const [, rows] = await together(trx, [
    {
      sql: "update request set version = version + 1 where request_id in (?) and ready = 1",
      bindings: [requestIds],
    },
    selectRequests(requestIds),
  ]);
  return requestsOf(rows);
}

/** What a scheduler owns and has locked. */
export interface OwnedRequests {
  readonly requests: Map<number, RequestRow>;
  readonly tasks: Map<number, TaskRow>;
  readonly clusters: readonly ClusterDigests[];
}

/**
 * As `lockRequests`, for a scheduler: takes the requests over for its token. Requests that a higher token owns stay as they are and
 * are left out of the answer. With the tasks of these ids that are of the requests in the answer, and the documents of the requests'
 * clusters, as they are under the lock.
 */
export async function lockOwnedRequests(
  trx: Transaction,
  requestIds: readonly number[],
  token: number,
  taskIds: readonly number[],
): Promise<OwnedRequests> {
  if (requestIds.length === 0) return { requests: new Map(), tasks: new Map(), clusters: [] };
  const [, rows, clusters, taskRows] = await together(trx, [
    {
      sql: `update request set version = version + 1, owner_token = ?
      where request_id in (?) and ready = 1 and owner_token <= ?`,
      bindings: [token, requestIds, token],
    },
    selectRequests(requestIds),
    selectClusterDigests(requestIds),
    ...(taskIds.length === 0 ? [] : [selectTasks(taskIds)]),
  ]);
  const requests = requestsOf(rows);
  for (const { requestId, ownerToken } of requests.values()) {
    if (ownerToken !== token) requests.delete(requestId);
  }
  const tasks = tasksOf(taskRows);
  for (const { taskId, requestId } of tasks.values()) {
    if (!requests.has(requestId)) tasks.delete(taskId);
  }
  return { requests, tasks, clusters: clusters as readonly ClusterDigests[] };
}

type Flag = "open" | "cancelRequested" | "aborted" | "paused";

type RawRequestRow = Omit<RequestRow, Flag> & {
  readonly open: number | null;
  readonly cancelRequested: number;
  readonly aborted: number;
  readonly paused: number;
};

/** Reads requests by their ids; those that do not exist or are still being made are left out. */
function selectRequests(requestIds: readonly number[]): Statement {
  return {
    sql: `select request_id as requestId, version, owner_token as ownerToken, open, status + 0 as status,
      display_status + 0 as displayStatus, progress_percent as progress, run, cluster_id as clusterId,
      cancel_requested as cancelRequested, aborted, abort_reason as abortReason, paused, pause_reason as pauseReason,
      budget_failures as budgetFailures, on_failure as onFailure, options, start_time as startTime, end_time as endTime
    from request where request_id in (?) and ready = 1`,
    bindings: [requestIds],
  };
}

function requestsOf(answer: Answer | undefined): Map<number, RequestRow> {
  return new Map(
    (answer as readonly RawRequestRow[]).map((raw) => [
      raw.requestId,
      {
        ...raw,
        open: raw.open === 1,
        cancelRequested: raw.cancelRequested === 1,
        aborted: raw.aborted === 1,
        paused: raw.paused === 1,
      },
    ]),
  );
}
