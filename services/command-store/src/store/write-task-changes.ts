import { statuses, type TaskStatus } from "@howdah/state/statuses";
import { jsonRows } from "../database/json-rows.js";
import { execute } from "../database/query.js";
import type { Transaction, Write } from "../database/together.js";
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
  const moved = statuses.filter((status) =>
    Array.from(roles.values()).some(({ deltas }) => (deltas.get(status) ?? 0) !== 0),
  );
  // As many as left a status came to it: nothing is to be moved.
  if (moved.length === 0) return [];
  const rows = Array.from(roles.values(), ({ key, deltas }) => [
    ...key,
    ...moved.map((status) => deltas.get(status) ?? 0),
  ]).sort(byKey);
  return [
    {
      statement: { sql: updateCounters(moved), bindings: [JSON.stringify(rows)] },
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
