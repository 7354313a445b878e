import { statuses, type TaskStatus } from "@howdah/state/statuses";
import { jsonRows } from "../database/json-rows.js";
import { execute } from "../database/query.js";
import type { Statement } from "../database/statement.js";
import type { Transaction } from "../database/together.js";
import { counterColumns } from "./counter-columns.js";
import type { ChangedTask, TaskRow } from "./task-rows.js";

const keyColumns = { request_id: "bigint", stage_id: "int", role_index: "smallint" };

/** Moves these counters of roles, of which most batches move two. */
function updateCounters(moved: readonly TaskStatus[]): string {
  const names = moved.map((status) => counterColumns[status]);
  const columns = { ...keyColumns, ...Object.fromEntries(names.map((name) => [name, "int"])) };
  return `update ${jsonRows("v", columns)} straight_join role_success_criteria r force index (primary)
    on r.request_id = v.request_id and r.stage_id = v.stage_id and r.role_index = v.role_index
  set ${names.map((name) => `r.${name} = r.${name} + v.${name}`).join(", ")}`;
}

/** By how much the counters of a role move; no delta is 0. */
export interface RoleMove {
  readonly requestId: number;
  readonly stageId: number;
  readonly roleIndex: number;
  readonly deltas: ReadonlyMap<TaskStatus, number>;
}

/** A name for a role of a stage, for maps. */
export function roleName(requestId: number, stageId: number, roleIndex: number): string {
  return `${requestId}/${stageId}/${roleIndex}`;
}

/** How the counters of roles move with their tasks, by request, stage and role. */
export function roleMoves(changes: readonly ChangedTask[]): RoleMove[] {
  const roles = new Map<string, RoleMove & { readonly deltas: Map<TaskStatus, number> }>();
  for (const { before, after } of changes) {
    if (before.status === after.status) continue;
    const { requestId, stageId, roleIndex } = before;
    const name = roleName(requestId, stageId, roleIndex);
    const role = roles.get(name) ?? { requestId, stageId, roleIndex, deltas: new Map() };
    roles.set(name, role);
    add(role.deltas, before.status, -1);
    add(role.deltas, after.status, 1);
  }
  // As many may have left a status as came to it.
  return [...roles.values()].filter(({ deltas }) => deltas.size > 0).sort(byRole);
}

function add(deltas: Map<TaskStatus, number>, status: TaskStatus, by: number): void {
  const delta = (deltas.get(status) ?? 0) + by;
  if (delta === 0) deltas.delete(status);
  else deltas.set(status, delta);
}

function byRole(a: RoleMove, b: RoleMove): number {
  return a.requestId - b.requestId || a.stageId - b.stageId || a.roleIndex - b.roleIndex;
}

/** Moves counters: one statement, however many roles. `StaleReadError` when a role is not there. */
export function counterWrites(moves: readonly RoleMove[]): Statement[] {
  if (moves.length === 0) return [];
  const moved = statuses.filter((status) => moves.some(({ deltas }) => deltas.has(status)));
  const rows = moves.map(({ requestId, stageId, roleIndex, deltas }) => [
    ...[requestId, stageId, roleIndex],
    ...moved.map((status) => deltas.get(status) ?? 0),
  ]);
  return [{ sql: updateCounters(moved), bindings: [JSON.stringify(rows)], rows: rows.length }];
}

/** Keeps attempts that others follow. */
export function attemptWrites(attempts: readonly TaskRow[]): Statement[] {
  if (attempts.length === 0) return [];
  const rows = attempts.map((task) => [
    task.taskId,
    task.attempt,
    task.status,
    task.exitCode,
    task.sessionEpoch,
    task.bindingId,
    task.queueTime,
    task.startTime,
    task.endTime,
    task.stdoutLength,
    task.stderrLength,
    task.structuredLength,
    task.reason,
  ]);
  const sql = `insert ignore into task_attempt (task_id, attempt, status, exit_code, session_epoch, binding_id, queue_time,
      start_time, end_time, stdout_length, stderr_length, structured_length, reason) values ?`;
  return [{ sql, bindings: [rows] }];
}

const correctAttempts = `update ${jsonRows("v", {
  task_id: "bigint",
  attempt: "smallint",
  status: "tinyint",
  exit_code: "int",
  start_time: "bigint",
  end_time: "bigint",
  stdout_length: "bigint",
  stderr_length: "bigint",
  structured_length: "bigint",
  reason: "varchar(255) character set utf8mb4",
})} straight_join task_attempt a force index (primary) on a.task_id = v.task_id and a.attempt = v.attempt
set a.status = v.status, a.exit_code = v.exit_code, a.start_time = v.start_time, a.end_time = v.end_time,
  a.stdout_length = v.stdout_length, a.stderr_length = v.stderr_length, a.structured_length = v.structured_length,
  a.reason = v.reason
where a.status = 'UNKNOWN'`;

/** What a late word says about former attempts; those of which it was known already stay as they are. */
export async function writeFormerAttempts(
  trx: Transaction,
  attempts: readonly Omit<
    TaskRow,
    "requestId" | "stageId" | "roleIndex" | "hostId" | "sessionEpoch"
  >[],
): Promise<void> {
  if (attempts.length === 0) return;
  const rows = attempts.map((a) => [
    a.taskId,
    a.attempt,
    a.status,
    a.exitCode,
    a.startTime,
    a.endTime,
    a.stdoutLength,
    a.stderrLength,
    a.structuredLength,
    a.reason,
  ]);
  await execute(trx, correctAttempts, [JSON.stringify(rows)]);
}
