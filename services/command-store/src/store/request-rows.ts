import type { OnFailure } from "@howdah/proto/howdah/v1/operation";
import type { TaskStatus } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { execute, query } from "../database/query.js";

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
  trx: Knex.Transaction,
  requestIds: readonly number[],
): Promise<Map<number, RequestRow>> {
  if (requestIds.length === 0) return new Map();
  await execute(
    trx,
    "update request set version = version + 1 where request_id in (?) and ready = 1",
    [requestIds],
  );
  return readRequests(trx, requestIds);
}

/**
 * As `lockRequests`, for a scheduler: takes the requests over for its token. Requests that a higher token owns stay as they are and
 * are left out of the answer.
 */
export async function lockOwnedRequests(
  trx: Knex.Transaction,
  requestIds: readonly number[],
  token: number,
): Promise<Map<number, RequestRow>> {
  if (requestIds.length === 0) return new Map();
  await execute(
    trx,
    `update request set version = version + 1, owner_token = ?
    where request_id in (?) and ready = 1 and owner_token <= ?`,
    [token, requestIds, token],
  );
  const requests = await readRequests(trx, requestIds);
  for (const { requestId, ownerToken } of requests.values()) {
    if (ownerToken !== token) requests.delete(requestId);
  }
  return requests;
}

type Flag = "open" | "cancelRequested" | "aborted" | "paused";

type RawRequestRow = Omit<RequestRow, Flag> & {
  readonly open: number | null;
  readonly cancelRequested: number;
  readonly aborted: number;
  readonly paused: number;
};

/** Reads requests by their ids; those that do not exist or are still being made are left out. */
async function readRequests(
  db: Knex,
  requestIds: readonly number[],
): Promise<Map<number, RequestRow>> {
  const rows = await query<RawRequestRow>(
    db,
    `select request_id as requestId, version, owner_token as ownerToken, open, status + 0 as status,
      display_status + 0 as displayStatus, progress_percent as progress, run, cluster_id as clusterId,
      cancel_requested as cancelRequested, aborted, abort_reason as abortReason, paused, pause_reason as pauseReason,
      budget_failures as budgetFailures, on_failure as onFailure, options, start_time as startTime, end_time as endTime
    from request where request_id in (?) and ready = 1`,
    [requestIds],
  );
  return new Map(
    rows.map((raw) => [
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
