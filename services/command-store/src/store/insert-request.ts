import { create, toBinary } from "@bufbuild/protobuf";
import { type CommandSpec, CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { RequestSchema } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type RequestHeader,
  type StageHeader,
  StageHeaderSchema,
} from "@howdah/proto/howdah/v1/store_request_creation";
import type { Counts } from "@howdah/state/counts";
import { onFailureOf } from "@howdah/state/failure-budget";
import type { TaskStatus } from "@howdah/state/statuses";
import { bytes, execute, query } from "../database/query.js";
import { type RowValue, sqlRows } from "../database/sql-rows.js";
import { newId, type SqlText, type Statement } from "../database/statement.js";
import type { Database, Transaction } from "../database/together.js";
import { counterColumns } from "./counter-columns.js";
import type { TaskRow } from "./task-rows.js";

/** A request as it comes in: its header and stages. */
export interface NewRequest {
  readonly header: RequestHeader;
  readonly stages: readonly StageHeader[];
}

/** A task to be inserted. */
export interface NewTask {
  /** Its `requestId` counts for nothing. */
  readonly row: TaskRow;
  /** What is its own in what it runs. */
  readonly command: CommandSpec | undefined;
}

/** What the tasks of a new request come to. */
export interface NewStanding {
  readonly status: TaskStatus;
  readonly progress: number;
  /** Of its stages; those that are not in it are as the request is. */
  readonly stages: readonly TaskStatus[];
}

/** Of a request none of whose tasks is released with it. */
export const allPending: NewStanding = { status: Status.PENDING, progress: 0, stages: [] };

/**
 * Inserts a request and its stages: two statements, of which the first one's answer has its id. Not `ready`: PREPARING, seen by no reader
 * until `makeReady`. A duplicate-key error when its idempotency key is there already.
 */
export function requestRows(
  { header, stages }: NewRequest,
  { status, progress, stages: statuses }: NewStanding,
  { ready, now }: { readonly ready: boolean; readonly now: number },
): [Statement, Statement] {
  const { options = create(RequestOptionsSchema), skippedHosts } = header;
  const flag = ready ? 1 : 0;
  const request = {
    sql: `insert into request (idempotency_key, content_digest, ready, open, status, display_status, progress_percent, version,
      owner_token, run, cluster_id, stage_count, cancel_requested, aborted, paused, budget_failures, on_failure,
      request_context, abort_reason, pause_reason, options, skipped_hosts, create_time, start_time, end_time)
    values (?, ?, ?, ?, ?, ?, ?, 1, ?, 1, ?, ?, 0, 0, 0, 0, ?, ?, '', '', ?, ?, ?, 0, 0)`,
    bindings: [
      header.idempotencyKey,
      bytes(header.contentDigest),
      flag,
      flag,
      status,
      status,
      progress,
      Number(header.schedulerToken),
      Number(header.clusterId),
      stages.length,
      onFailureOf(options),
      header.context,
      bytes(toBinary(RequestOptionsSchema, options)),
      bytes(toBinary(RequestSchema, create(RequestSchema, { skippedHosts }))),
      now,
    ],
  };
  const rows = stages.map((stage) => [
    newId,
    stage.stageId,
    statuses[stage.stageId] ?? status,
    statuses[stage.stageId] ?? status,
    0,
    0,
    bytes(toBinary(StageHeaderSchema, stage)),
  ]);
  const ofStages = {
    sql: "insert into stage (request_id, stage_id, status, display_status, start_time, end_time, command_params) values ?",
    bindings: [rows],
  };
  return [request, ofStages];
}

/** Inserts tasks: rows as `taskRow` makes them. */
export const insertTasksSql = `insert into host_role_command (task_id, request_id, stage_id, role_index, host_id, role, role_command,
    component_command, batch, manual, status, attempt, cancel_requested, session_epoch, binding_id, change_version, queue_time,
    start_time, end_time, open_host_id) values ?`;

/** A task of a request as a row: PENDING, or QUEUED. A request's first version is 1. */
export function taskRow(requestId: number | SqlText, row: TaskRow): RowValue[] {
  return [
    row.taskId,
    requestId,
    row.stageId,
    row.roleIndex,
    row.hostId,
    row.role,
    row.roleCommand,
    row.componentCommand,
    row.batch,
    row.manual ? 1 : 0,
    row.status,
    row.attempt,
    0,
    row.sessionEpoch,
    row.bindingId,
    1,
    row.queueTime,
    0,
    0,
    row.status === Status.PENDING ? null : row.hostId,
  ];
}

/** Inserts the commands of tasks: rows of a task's id and its bytes. */
export const insertCommandsSql = "insert into execution_command (task_id, command) values ?";

/** Inserts tasks of a request, PENDING or QUEUED, and the command of each. */
export function taskRows(requestId: number | SqlText, tasks: readonly NewTask[]): Statement[] {
  if (tasks.length === 0) return [];
  const rows = sqlRows(tasks.map(({ row }) => taskRow(requestId, row)));
  const commands = sqlRows(
    tasks.map(({ row: { taskId }, command }) => [
      taskId,
      command === undefined ? noBytes : bytes(toBinary(CommandSpecSchema, command)),
    ]),
  );
  return [
    { sql: insertTasksSql, bindings: [rows] },
    { sql: insertCommandsSql, bindings: [commands] },
  ];
}

const noBytes = Buffer.alloc(0);

/** Inserts the roles of a request's stages, with how many tasks each has, and how many of those are QUEUED. */
export function roleRows(
  requestId: number | SqlText,
  stages: readonly StageHeader[],
  counts: readonly (readonly Counts[])[],
): Statement {
  const rows = stages.flatMap(({ stageId, roles }) =>
    roles.map((role, index) => [
      requestId,
      stageId,
      index,
      role.role,
      role.roleCommand,
      role.command?.customCommand ?? "",
      role.successFactor,
      counts[stageId]?.[index]?.[Status.PENDING] ?? 0,
      counts[stageId]?.[index]?.[Status.QUEUED] ?? 0,
    ]),
  );
  return {
    sql: `insert into role_success_criteria (request_id, stage_id, role_index, role, role_command, custom_command,
      success_factor, ${counterColumns[Status.PENDING]}, ${counterColumns[Status.QUEUED]}) values ?`,
    bindings: [rows],
  };
}

/** Tells that a request is still being made; whether it is there to be made. */
export async function touchPreparing(
  trx: Transaction,
  requestId: number,
  key: string,
  now: number,
): Promise<boolean> {
  const { affectedRows } = await execute(
    trx,
    "update request set create_time = ? where request_id = ? and ready = 0 and idempotency_key = ?",
    [now, requestId, key],
  );
  return affectedRows === 1;
}

/** Makes a request visible: from this commit on it is stored. Whether it was there to be made. */
export async function makeReady(
  trx: Transaction,
  requestId: number,
  key: string,
  now: number,
): Promise<boolean> {
  const { affectedRows } = await execute(
    trx,
    `update request set ready = 1, open = 1, create_time = ?
    where request_id = ? and ready = 0 and idempotency_key = ?`,
    [now, requestId, key],
  );
  return affectedRows === 1;
}

/** A request by its key, ready or being made. */
export interface KeyedRequest {
  readonly requestId: number;
  readonly digest: Buffer;
  readonly ready: number;
}

/** Finds the request that has a key, ready or not. */
export async function findByKey(db: Database, key: string): Promise<KeyedRequest | undefined> {
  const [row] = await query<KeyedRequest>(
    db,
    "select request_id as requestId, content_digest as digest, ready from request where idempotency_key = ?",
    [key],
  );
  return row;
}
