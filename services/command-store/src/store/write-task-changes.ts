import { openStatuses, statuses, type TaskStatus } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute } from "../database/query.js";
import type { Write } from "../database/together.js";
import type { ChangedTask } from "../requests/task-changes.js";
import { counterColumns } from "./counter-columns.js";
import type { TaskRow } from "./task-rows.js";

const keyColumns = { request_id: "bigint", stage_id: "int", role_index: "smallint" };
const counterNames = statuses.map((status) => counterColumns[status]);

const updateCounters = `update ${jsonRows("v", {
  ...keyColumns,
  ...Object.fromEntries(counterNames.map((name) => [name, "int"])),
})} straight_join role_success_criteria r force index (primary)
  on r.request_id = v.request_id and r.stage_id = v.stage_id and r.role_index = v.role_index
set ${counterNames.map((name) => `r.${name} = r.${name} + v.${name}`).join(", ")}`;

/** Moves the counters of each role by what changed: one statement, however many tasks. */
export function counterWrites(changes: readonly ChangedTask[]): Write[] {
  const roles = new Map<string, { key: number[]; deltas: Map<TaskStatus, number> }>();
  for (const { before, after } of changes) {
    if (before.status === after.status) continue;
    const key = [before.requestId, before.stageId, before.roleIndex];
    const name = key.join("/");
    const role = roles.get(name) ?? { key, deltas: new Map<TaskStatus, number>() };
    roles.set(name, role);
    const { deltas } = role;
    deltas.set(before.status, (deltas.get(before.status) ?? 0) - 1);
    deltas.set(after.status, (deltas.get(after.status) ?? 0) + 1);
  }
  if (roles.size === 0) return [];
  const rows = Array.from(roles.values(), ({ key, deltas }) => [
    ...key,
    ...statuses.map((status) => deltas.get(status) ?? 0),
  ]).sort(byKey);
  return [
    {
      statement: { sql: updateCounters, bindings: [JSON.stringify(rows)] },
      check({ affectedRows }) {
        if (affectedRows !== rows.length)
          throw new Error("a task's role is not in role_success_criteria");
      },
    },
  ];
}

function byKey(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < 3; i += 1) {
    const order = (a[i] ?? 0) - (b[i] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

/** Writes changed tasks: a row each, in `jsonRows`, whose `was_…` must be as they are. */
export const updateTasksSql = `update ${jsonRows("v", {
  task_id: "bigint",
  was_status: "tinyint",
  was_attempt: "smallint",
  was_epoch: "bigint",
  was_cancel: "tinyint",
  status: "tinyint",
  attempt: "smallint",
  open: "tinyint",
  cancel_requested: "tinyint",
  exit_code: "int",
  session_epoch: "bigint",
  binding_id: "bigint",
  change_version: "bigint",
  queue_time: "bigint",
  start_time: "bigint",
  end_time: "bigint",
  stdout_length: "bigint",
  stderr_length: "bigint",
  structured_length: "bigint",
  receive_time: "bigint",
  report_time: "bigint",
  reason: "varchar(255) character set utf8mb4",
})} straight_join host_role_command t force index (primary) on t.task_id = v.task_id
  and t.status = v.was_status and t.attempt = v.was_attempt and t.session_epoch = v.was_epoch
  and t.cancel_requested = v.was_cancel
set t.status = v.status, t.attempt = v.attempt, t.open_host_id = if(v.open = 1, t.host_id, null), t.cancel_requested = v.cancel_requested,
  t.exit_code = v.exit_code, t.session_epoch = v.session_epoch, t.binding_id = v.binding_id,
  t.change_version = v.change_version, t.queue_time = v.queue_time, t.start_time = v.start_time,
  t.end_time = v.end_time, t.stdout_length = v.stdout_length, t.stderr_length = v.stderr_length,
  t.structured_length = v.structured_length, t.receive_time = v.receive_time, t.report_time = v.report_time,
  t.reason = v.reason`;

/** Writes changed tasks, in the order of their ids. `StaleReadError` when one is not as it was read. */
export function taskWrites(changes: readonly ChangedTask[]): Write[] {
  if (changes.length === 0) return [];
  const rows = changes.map(({ before, after }) => [
    after.taskId,
    before.status,
    before.attempt,
    before.sessionEpoch,
    before.cancelRequested ? 1 : 0,
    after.status,
    after.attempt,
    openStatuses.has(after.status) ? 1 : null,
    after.cancelRequested ? 1 : 0,
    after.exitCode,
    after.sessionEpoch,
    after.bindingId,
    after.changeVersion,
    after.queueTime,
    after.startTime,
    after.endTime,
    after.stdoutLength,
    after.stderrLength,
    after.structuredLength,
    after.receiveTime,
    after.reportTime,
    after.reason,
  ]);
  return [
    {
      statement: { sql: updateTasksSql, bindings: [JSON.stringify(rows)] },
      check({ affectedRows }) {
        if (affectedRows === rows.length) return;
        throw new StaleReadError(
          `${rows.length - affectedRows} tasks were changed by somebody else`,
        );
      },
    },
  ];
}

/** Keeps attempts that others follow. */
export function attemptWrites(attempts: readonly TaskRow[]): Write[] {
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
  return [{ statement: { sql, bindings: [rows] } }];
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
  trx: Knex.Transaction,
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
