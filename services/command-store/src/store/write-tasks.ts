import { openStatuses } from "@howdah/state/statuses";
import { jsonRows } from "../database/json-rows.js";
import type { Statement } from "../database/statement.js";
import type { ChangedTask, TaskRow } from "./task-rows.js";

type Value = string | number | null;

/** A column that changes, or that must be as it was read. */
interface Column {
  readonly name: string;
  readonly type: string;
  of(task: TaskRow): Value;
  /** SQL for what is stored, of SQL for the value; by default that is the value. */
  stored?(value: string): string;
}

const flag = (of: (task: TaskRow) => boolean) => (task: TaskRow) => (of(task) ? 1 : 0);
const status = { name: "status", type: "tinyint", of: (task: TaskRow) => task.status };
const attempt = { name: "attempt", type: "smallint", of: (task: TaskRow) => task.attempt };
const session = {
  ...{ name: "session_epoch", type: "bigint" },
  of: (task: TaskRow) => task.sessionEpoch,
};
const cancel = {
  ...{ name: "cancel_requested", type: "tinyint" },
  of: flag(({ cancelRequested }) => cancelRequested),
};

/** What a task must be still. */
const conditions: readonly Column[] = [status, attempt, session, cancel];

/** What may change. */
const settings: readonly Column[] = [
  ...[status, attempt, cancel, session],
  { name: "exit_code", type: "int", of: (task) => task.exitCode },
  { name: "binding_id", type: "bigint", of: (task) => task.bindingId },
  { name: "change_version", type: "bigint", of: (task) => task.changeVersion },
  { name: "queue_time", type: "bigint", of: (task) => task.queueTime },
  { name: "start_time", type: "bigint", of: (task) => task.startTime },
  { name: "end_time", type: "bigint", of: (task) => task.endTime },
  { name: "stdout_length", type: "bigint", of: (task) => task.stdoutLength },
  { name: "stderr_length", type: "bigint", of: (task) => task.stderrLength },
  { name: "structured_length", type: "bigint", of: (task) => task.structuredLength },
  { name: "receive_time", type: "bigint", of: (task) => task.receiveTime },
  { name: "report_time", type: "bigint", of: (task) => task.reportTime },
  {
    ...{ name: "reason", type: "varchar(255) character set utf8mb4" },
    of: (task) => task.reason,
  },
  {
    ...{ name: "open_host_id", type: "tinyint" },
    // Whether it is open is mostly the same for all; their hosts are not.
    of: flag((task) => openStatuses.has(task.status)),
    stored: (open) => `if(${open} = 1, t.host_id, null)`,
  },
];

/**
 * One statement that changes tasks, of which there must be one: in the order given, each on condition that it is as it was read. Columns
 * that no task changes are left out, and what is the same for all stands in the statement: a value of a row costs MariaDB about as much
 * as finding the row, and most are alike.
 */
export function taskUpdate(changes: readonly ChangedTask[]): Statement {
  const columns: Record<string, string> = { task_id: "bigint" };
  const rows: Value[][] = changes.map(({ after }) => [after.taskId]);
  const shared: Value[] = [];

  /** SQL for a column's value: of its row, or the one that all have. */
  function sqlOf(name: string, type: string, of: (change: ChangedTask) => Value): string {
    const values = changes.map(of);
    const [first = null] = values;
    if (values.every((value) => value === first)) {
      shared.push(first);
      return "?";
    }
    columns[name] = type;
    for (const [at, value] of values.entries()) rows[at]?.push(value);
    return `v.${name}`;
  }

  const wanted = conditions.map(({ name, type, of }) => {
    const value = sqlOf(`was_${name}`, type, ({ before }) => of(before));
    return ` and t.${name} = ${value}`;
  });
  const set = settings
    .filter(({ of }) => changes.some(({ before, after }) => of(before) !== of(after)))
    .map(({ name, type, of, stored = (value) => value }) => {
      return `t.${name} = ${stored(sqlOf(name, type, ({ after }) => of(after)))}`;
    });
  // It was written by the very same change before, whose commit was answered into a broken connection.
  if (set.length === 0) set.push("t.task_id = t.task_id");
  return {
    sql: `update ${jsonRows("v", columns)} straight_join host_role_command t force index (primary) on t.task_id = v.task_id${wanted.join("")}
      set ${set.join(", ")}`,
    bindings: [JSON.stringify(rows), ...shared],
  };
}

/** Writes changed tasks, in the order of their ids. `StaleReadError` when one is not as it was read. */
export function taskWrites(changes: readonly ChangedTask[]): Statement[] {
  if (changes.length === 0) return [];
  return [{ ...taskUpdate(changes), rows: changes.length }];
}
