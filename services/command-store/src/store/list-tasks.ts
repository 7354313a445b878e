import type { TaskStatus } from "@howdah/state/statuses";
import { query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";
import { type RawTaskRow, type TaskRow, taskColumns, toTaskRow } from "./task-rows.js";

/** A task with its host's name and when it was made. */
export type ListedTask = TaskRow & { readonly hostName: string; readonly createTime: number };

type RawListedTask = RawTaskRow & { readonly hostName: string; readonly createTime: number };

const listedColumns = `${taskColumns}, coalesce(h.host_name, '') as hostName, q.create_time as createTime`;

/** The tables, with the index of host_role_command to go by: the optimiser would at times rather walk the whole primary key. */
function listedTables(index: "primary" | "request" | "changes"): string {
  return `host_role_command t force index (${index}) join request q on q.request_id = t.request_id and q.ready = 1
    left join host h on h.host_id = t.host_id`;
}

/** Which tasks of a request to list. */
export interface TaskPage {
  readonly requestId: number;
  readonly stageId?: number | undefined;
  /** None means all. */
  readonly statuses: readonly TaskStatus[];
  readonly hostId?: number | undefined;
  /** Only tasks that changed after this version of the request; 0 for all. */
  readonly changedAfter: number;
  /** Only tasks with higher ids. */
  readonly above: number;
  readonly limit: number;
}

/** A page of a request's tasks, by id. */
export async function listTasks(db: Database, page: TaskPage): Promise<ListedTask[]> {
  const conditions = ["t.request_id = ?", "t.task_id > ?"];
  const bindings: Binding[] = [page.requestId, page.above];
  const and = (condition: string, value: Binding) => {
    conditions.push(condition);
    bindings.push(value);
  };
  if (page.stageId !== undefined) and("t.stage_id = ?", page.stageId);
  if (page.statuses.length > 0) and("t.status in (?)", page.statuses);
  if (page.hostId !== undefined) and("t.host_id = ?", page.hostId);
  if (page.changedAfter > 0) and("t.change_version > ?", page.changedAfter);
  const index = page.changedAfter > 0 ? "changes" : "request";
  const rows = await query<RawListedTask>(
    db,
    `select ${listedColumns} from ${listedTables(index)} where ${conditions.join(" and ")} order by t.task_id limit ?`,
    [...bindings, page.limit],
  );
  return rows.map(toTaskRow);
}

/** Up to where a follower of a request has seen its tasks: in the order of their changes. */
export interface ChangeCursor {
  readonly version: number;
  readonly taskId: number;
}

/** A request's tasks that changed after the cursor, in the order of their changes, at most `limit`. */
export async function listChangedTasks(
  db: Database,
  requestId: number,
  { version, taskId }: ChangeCursor,
  limit: number,
): Promise<ListedTask[]> {
  const rows = await query<RawListedTask>(
    db,
    `select ${listedColumns} from ${listedTables("changes")}
    where t.request_id = ? and t.change_version >= ? and (t.change_version > ? or t.task_id > ?)
    order by t.change_version, t.task_id limit ?`,
    [requestId, version, version, taskId, limit],
  );
  return rows.map(toTaskRow);
}

/** Reads one task; undefined when there is none. */
export async function readListedTask(
  db: Database,
  taskId: number,
): Promise<ListedTask | undefined> {
  const rows = await query<RawListedTask>(
    db,
    `select ${listedColumns} from ${listedTables("primary")} where t.task_id = ?`,
    [taskId],
  );
  return rows.map(toTaskRow)[0];
}

/** An attempt that another one followed. */
export type AttemptRow = Pick<
  TaskRow,
  | "attempt"
  | "status"
  | "exitCode"
  | "startTime"
  | "endTime"
  | "stdoutLength"
  | "stderrLength"
  | "structuredLength"
  | "reason"
  | "queueTime"
  | "sessionEpoch"
>;

/** A task's superseded attempts, oldest first. */
export function readAttempts(db: Database, taskId: number): Promise<AttemptRow[]> {
  return query(
    db,
    `select attempt, status + 0 as status, exit_code as exitCode, start_time as startTime, end_time as endTime,
      stdout_length as stdoutLength, stderr_length as stderrLength, structured_length as structuredLength,
      reason, queue_time as queueTime, session_epoch as sessionEpoch
    from task_attempt where task_id = ? order by attempt`,
    [taskId],
  );
}

/** A host's id by its name. */
export async function findHostId(db: Database, hostName: string): Promise<number | undefined> {
  const [row] = await query<{ hostId: number }>(
    db,
    "select host_id as hostId from host where host_name = ?",
    [hostName],
  );
  return row?.hostId;
}
