import type { OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { TaskStatus } from "@howdah/state/statuses";
import type { Answer, Statement } from "../database/statement.js";
import { type Transaction, together } from "../database/together.js";
import { type ClusterDigests, selectClusterDigests } from "./bindings.js";
import { selectTasks, type TaskRow, tasksOf } from "./task-rows.js";
import { type StageCounts, selectStageCounts, stageCountsOf } from "./write-roll-up.js";

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

/** Requests that a transaction has locked, and what is under their lock. */
export interface LockedRequests {
  /** By id, each with its next version: who changes one of them writes it. */
  readonly requests: Map<number, RequestRow>;
  /** The stages of the requests. */
  readonly stages: readonly StageCounts[];
  /** Those of the tasks asked for that are of one of the requests. */
  readonly tasks: Map<number, TaskRow>;
}

/**
 * Locks requests and reads what is under their lock, in one round trip. The lock on their rows serialises all who change the same
 * request, so this comes first in every transaction that does, and all at once, in the order of their ids.
 */
export async function lockRequests(
  trx: Transaction,
  requestIds: readonly number[],
  taskIds: readonly number[],
): Promise<LockedRequests> {
  const { clusters: _, ...locked } = await lockAndRead(trx, { requestIds, taskIds });
  return locked;
}

/** What a scheduler owns and has locked. */
export interface OwnedRequests extends LockedRequests {
  readonly clusters: readonly ClusterDigests[];
}

/**
 * As `lockRequests`, for a scheduler: takes the requests over for its token. Requests that a higher token owns are left out of the
 * answer. With the documents of the requests' clusters, as they are under the lock.
 */
export async function lockOwnedRequests(
  trx: Transaction,
  requestIds: readonly number[],
  token: number,
  taskIds: readonly number[],
): Promise<OwnedRequests> {
  return lockAndRead(trx, { requestIds, taskIds, token });
}

/** `token`: of the scheduler that takes them over; without it they stay their owners', and no documents are read. */
async function lockAndRead(
  trx: Transaction,
  {
    requestIds,
    taskIds,
    token,
  }: {
    readonly requestIds: readonly number[];
    readonly taskIds: readonly number[];
    readonly token?: number;
  },
): Promise<OwnedRequests> {
  if (requestIds.length === 0)
    return { requests: new Map(), stages: [], tasks: new Map(), clusters: [] };
  const clusters = token === undefined ? [] : [selectClusterDigests(requestIds)];
  const tasks = taskIds.length === 0 ? [] : [selectTasks(taskIds)];
  const [rows, stageRows, ...others] = await together(trx, [
    ...[lockedRequests(requestIds), selectStageCounts(requestIds)],
    ...[...clusters, ...tasks],
  ]);
  const clusterRows = clusters.length === 0 ? [] : others.shift();
  const requests = new Map(
    [...requestsOf(rows)].flatMap(([id, request]): [number, RequestRow][] => {
      if (token === undefined) return [[id, request]];
      return request.ownerToken > token ? [] : [[id, { ...request, ownerToken: token }]];
    }),
  );
  const found = [...tasksOf(others.shift())].filter(([, task]) => requests.has(task.requestId));
  return {
    requests,
    stages: stageCountsOf(stageRows),
    tasks: new Map(found),
    clusters: clusterRows as readonly ClusterDigests[],
  };
}

type Flag = "open" | "cancelRequested" | "aborted" | "paused";

type RawRequestRow = Omit<RequestRow, Flag> & {
  readonly open: number | null;
  readonly cancelRequested: number;
  readonly aborted: number;
  readonly paused: number;
};

/** Locks and reads requests by their ids, in that order; those that do not exist or are still being made are left out. */
function lockedRequests(requestIds: readonly number[]): Statement {
  return {
    sql: `select request_id as requestId, version, owner_token as ownerToken, open, status + 0 as status,
      display_status + 0 as displayStatus, progress_percent as progress, run, cluster_id as clusterId,
      cancel_requested as cancelRequested, aborted, abort_reason as abortReason, paused, pause_reason as pauseReason,
      budget_failures as budgetFailures, on_failure as onFailure, options, start_time as startTime, end_time as endTime
    from request force index (primary) where request_id in (?) and ready = 1 order by request_id for update`,
    bindings: [requestIds],
  };
}

function requestsOf(answer: Answer | undefined): Map<number, RequestRow> {
  return new Map(
    (answer as readonly RawRequestRow[]).map((raw) => [
      raw.requestId,
      {
        ...raw,
        version: raw.version + 1,
        open: raw.open === 1,
        cancelRequested: raw.cancelRequested === 1,
        aborted: raw.aborted === 1,
        paused: raw.paused === 1,
      },
    ]),
  );
}
