import type { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { Counts } from "@howdah/state/counts";
import type { TaskStatus } from "@howdah/state/statuses";
import { statuses } from "@howdah/state/statuses";
import { query } from "../database/query.js";
import type { Answer, SqlText, Statement } from "../database/statement.js";
import { type Database, together } from "../database/together.js";
import { counterColumns, counterList, type RawCounts, toCounts } from "./counter-columns.js";

/** A request as people see it. */
export interface StoredRequest {
  readonly requestId: number;
  readonly context: string;
  readonly idempotencyKey: string;
  /** The cluster's name; empty without one. */
  readonly cluster: string;
  readonly status: TaskStatus;
  readonly displayStatus: TaskStatus;
  readonly progress: number;
  readonly version: number;
  readonly run: number;
  readonly stageCount: number;
  readonly open: boolean;
  readonly cancelRequested: boolean;
  readonly aborted: boolean;
  readonly abortReason: string;
  readonly paused: boolean;
  readonly pauseReason: string;
  /** A serialised howdah.v1.RequestOptions. */
  readonly options: Buffer;
  /** A serialised howdah.v1.Request with nothing but its `skipped_hosts`. */
  readonly skippedHosts: Buffer;
  readonly createTime: number;
  readonly startTime: number;
  readonly endTime: number;
}

type RawRequest = Omit<StoredRequest, "open" | "cancelRequested" | "aborted" | "paused"> & {
  readonly open: number | null;
  readonly cancelRequested: number;
  readonly aborted: number;
  readonly paused: number;
};

const requestColumns = `q.request_id as requestId, q.request_context as context, q.idempotency_key as idempotencyKey,
  coalesce(c.name, '') as cluster, q.status + 0 as status, q.display_status + 0 as displayStatus,
  q.progress_percent as progress, q.version, q.run, q.stage_count as stageCount, q.open,
  q.cancel_requested as cancelRequested, q.aborted, q.abort_reason as abortReason, q.paused,
  q.pause_reason as pauseReason,
  q.options, q.skipped_hosts as skippedHosts,
  q.create_time as createTime, q.start_time as startTime, q.end_time as endTime`;

function toRequest(raw: RawRequest): StoredRequest {
  const { open, cancelRequested, aborted, paused } = raw;
  return {
    ...raw,
    open: open === 1,
    cancelRequested: cancelRequested === 1,
    aborted: aborted === 1,
    paused: paused === 1,
  };
}

/** What reads a request, unless it is still being made; `requestOf` takes its answer. */
export function selectRequest(requestId: number | SqlText): Statement {
  return {
    sql: `select ${requestColumns} from request q left join cluster c on c.cluster_id = q.cluster_id
    where q.request_id = ? and q.ready = 1`,
    bindings: [requestId],
  };
}

/** The request that `selectRequest` has read; undefined when there is none. */
export function requestOf(answer: Answer | undefined): StoredRequest | undefined {
  const [row] = answer as readonly RawRequest[];
  return row === undefined ? undefined : toRequest(row);
}

/** Reads a request; undefined when there is none or it is still being made. */
export async function readRequest(
  db: Database,
  requestId: number,
): Promise<StoredRequest | undefined> {
  const [answer] = await together(db, [selectRequest(requestId)]);
  return requestOf(answer);
}

/** Which requests to list. */
export interface RequestPage {
  readonly limit: number;
  /** Only requests with lower ids; 0 for all. */
  readonly below: number;
  readonly unfinishedOnly: boolean;
}

/** A page of requests, newest first. */
export async function listRequests(
  db: Database,
  { limit, below, unfinishedOnly }: RequestPage,
): Promise<StoredRequest[]> {
  // The few that are open by their own index, however many are over.
  const hint = unfinishedOnly ? "force index (open)" : "";
  const rows = await query<RawRequest>(
    db,
    `select ${requestColumns} from request q ${hint} left join cluster c on c.cluster_id = q.cluster_id
    where q.request_id < ? and ${unfinishedOnly ? "q.open = 1" : "q.ready = 1"} order by q.request_id desc limit ?`,
    [below || Number.MAX_SAFE_INTEGER, limit],
  );
  return rows.map(toRequest);
}

const sums = statuses
  .map((status) => counterColumns[status])
  .map((name) => `cast(sum(r.${name}) as signed) as ${name}`)
  .join(", ");

/** How many tasks requests have in each status, by request. */
export async function readRequestCounts(
  db: Database,
  requestIds: readonly number[],
): Promise<Map<number, Counts>> {
  if (requestIds.length === 0) return new Map();
  const rows = await query<RawCounts & { requestId: number }>(
    db,
    `select r.request_id as requestId, ${sums} from role_success_criteria r where r.request_id in (?) group by r.request_id`,
    [requestIds],
  );
  return new Map(rows.map((row) => [row.requestId, toCounts(row)]));
}

/** A stage as people see it. */
export interface StoredStage {
  readonly requestId: number;
  readonly stageId: number;
  readonly status: TaskStatus;
  readonly displayStatus: TaskStatus;
  readonly startTime: number;
  readonly endTime: number;
  readonly roles: readonly StoredRole[];
}

/** A role of a stage as people see it. */
export interface StoredRole {
  readonly role: string;
  readonly roleCommand: RoleCommand;
  readonly customCommand: string;
  readonly successFactor: number;
  readonly counts: Counts;
}

/** The stages of a request, in order. */
export async function readStages(db: Database, requestId: number): Promise<StoredStage[]> {
  const stages = await query<Omit<StoredStage, "roles">>(
    db,
    `select request_id as requestId, stage_id as stageId, status + 0 as status, display_status + 0 as displayStatus,
      start_time as startTime, end_time as endTime
    from stage where request_id = ? order by stage_id`,
    [requestId],
  );
  const rows = await query<RawCounts & Omit<StoredRole, "counts"> & { stageId: number }>(
    db,
    `select r.stage_id as stageId, r.role, r.role_command + 0 as roleCommand, r.custom_command as customCommand,
      r.success_factor as successFactor, ${counterList}
    from role_success_criteria r where r.request_id = ? order by r.stage_id, r.role_index`,
    [requestId],
  );
  const roles = new Map<number, StoredRole[]>(stages.map(({ stageId }) => [stageId, []]));
  for (const row of rows) {
    const { role, roleCommand, customCommand, successFactor } = row;
    roles
      .get(row.stageId)
      ?.push({ role, roleCommand, customCommand, successFactor, counts: toCounts(row) });
  }
  return stages.map((stage) => ({ ...stage, roles: roles.get(stage.stageId) ?? [] }));
}

/** The requests that are not over, by id. */
export function listUnfinished(
  db: Database,
): Promise<{ requestId: number; version: number; ownerToken: number }[]> {
  return query(
    db,
    `select request_id as requestId, version, owner_token as ownerToken from request force index (open)
    where open = 1 order by request_id`,
  );
}

/** The versions of requests; of those that do not exist, none. */
export async function readVersions(
  db: Database,
  requestIds: readonly number[],
): Promise<Map<number, number>> {
  if (requestIds.length === 0) return new Map();
  const rows = await query<{ requestId: number; version: number }>(
    db,
    "select request_id as requestId, version from request where request_id in (?) and ready = 1",
    [requestIds],
  );
  return new Map(rows.map(({ requestId, version }) => [requestId, version]));
}
