import type { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type { ComponentCommand } from "@howdah/state/component-states";
import type { TaskStatus } from "@howdah/state/statuses";
import { query } from "../database/query.js";
import type { Answer, Statement } from "../database/statement.js";
import { type Database, together } from "../database/together.js";

/** A row of host_role_command, as far as what happens to a task depends on it or changes it. */
export interface TaskRow {
  readonly taskId: number;
  readonly requestId: number;
  readonly stageId: number;
  readonly roleIndex: number;
  readonly hostId: number;
  readonly role: string;
  readonly roleCommand: RoleCommand;
  /** What it does to the state of its component; null when it does nothing to one. */
  readonly componentCommand: ComponentCommand | null;
  /** In rolling requests: its batch in its stage. */
  readonly batch: number;
  /** A step that a person does. */
  readonly manual: boolean;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly cancelRequested: boolean;
  readonly exitCode: number | null;
  readonly sessionEpoch: number;
  readonly bindingId: number;
  readonly changeVersion: number;
  readonly queueTime: number;
  readonly startTime: number;
  readonly endTime: number;
  readonly stdoutLength: number | null;
  readonly stderrLength: number | null;
  readonly structuredLength: number | null;
  /** When the command of the current attempt was in its agent's journal, by the agent's clock; 0 before it was told. */
  readonly receiveTime: number;
  /** When the agent's word on its end was committed; 0 before. */
  readonly reportTime: number;
  readonly reason: string | null;
}

/** A task before and after. */
export interface ChangedTask {
  readonly before: TaskRow;
  readonly after: TaskRow;
}

/** The select list of a `TaskRow`; enums are read as the numbers that protobuf gives them. */
export const taskColumns = `t.task_id as taskId, t.request_id as requestId, t.stage_id as stageId, t.role_index as roleIndex,
  t.host_id as hostId, t.role, t.role_command + 0 as roleCommand, t.component_command + 0 as componentCommand, t.batch, t.manual, t.status + 0 as status, t.attempt,
  t.cancel_requested as cancelRequested, t.exit_code as exitCode,
  t.session_epoch as sessionEpoch, t.binding_id as bindingId, t.change_version as changeVersion, t.queue_time as queueTime,
  t.start_time as startTime, t.end_time as endTime, t.stdout_length as stdoutLength, t.stderr_length as stderrLength,
  t.structured_length as structuredLength, t.receive_time as receiveTime, t.report_time as reportTime, t.reason`;

/** A `TaskRow` as the driver gives it. */
export type RawTaskRow = Omit<TaskRow, "cancelRequested" | "manual"> & {
  readonly cancelRequested: number;
  readonly manual: number;
};

/** Makes a row out of what the driver gives; further columns stay. */
export function toTaskRow<T extends RawTaskRow>(raw: T): T & TaskRow {
  return { ...raw, cancelRequested: raw.cancelRequested === 1, manual: raw.manual === 1 };
}

/** What reads tasks by their ids; `tasksOf` takes its answer. */
export function selectTasks(taskIds: readonly number[]): Statement {
  return {
    sql: `select ${taskColumns} from host_role_command t where t.task_id in (?)`,
    bindings: [taskIds],
  };
}

/** The tasks that `selectTasks` has read, by id; those that do not exist are left out. */
export function tasksOf(answer: Answer | undefined): Map<number, TaskRow> {
  const rows = (answer ?? []) as readonly RawTaskRow[];
  return new Map(rows.map((raw) => [raw.taskId, toTaskRow(raw)]));
}

/** Reads tasks by their ids; those that do not exist are left out. */
export async function readTasks(
  db: Database,
  taskIds: readonly number[],
): Promise<Map<number, TaskRow>> {
  if (taskIds.length === 0) return new Map();
  const [rows] = await together(db, [selectTasks(taskIds)]);
  return tasksOf(rows);
}

/** Reads tasks by their ids, in the order in which they were to run. */
export async function readTasksInOrder(
  db: Database,
  taskIds: readonly number[],
): Promise<TaskRow[]> {
  if (taskIds.length === 0) return [];
  const rows = await query<RawTaskRow>(
    db,
    `select ${taskColumns} from host_role_command t where t.task_id in (?)
    order by t.request_id, t.stage_id, t.task_id`,
    [taskIds],
  );
  return rows.map(toTaskRow);
}
