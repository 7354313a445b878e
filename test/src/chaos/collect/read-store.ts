import type { Connection, RowDataPacket } from "mysql2/promise";
import type { History, StoredRole, StoredStream } from "../check/history.js";

/** The part of a history that is in the store's tables. */
export type StoredHistory = Pick<
  History,
  "requests" | "stages" | "roles" | "tasks" | "formerAttempts" | "output"
>;

const counterColumns = [
  "pending",
  "queued",
  "in_progress",
  "holding",
  "completed",
  "failed",
  "holding_failed",
  "timedout",
  "holding_timedout",
  "aborted",
  "skipped_failed",
  "unknown",
];

/** Reads the store's tables, as one state. */
export async function readStore(connection: Connection): Promise<StoredHistory> {
  const all = async (sql: string): Promise<RowDataPacket[]> => {
    const [rows] = await connection.query<RowDataPacket[]>(sql);
    return rows;
  };
  await connection.query("set transaction isolation level repeatable read");
  await connection.query("start transaction with consistent snapshot, read only");
  try {
    const requests = await all("select * from request order by request_id");
    const stages = await all("select request_id, stage_id, status from stage");
    const roles = await all("select * from role_success_criteria");
    const tasks = await all(
      "select t.*, h.host_name from host_role_command t join host h using (host_id) order by task_id",
    );
    const attempts = await all("select * from task_attempt order by task_id, attempt");
    const chunks = await all(
      "select * from task_output order by task_id, attempt, stream, position",
    );
    return {
      requests: requests.map((row) => ({
        requestId: row.request_id,
        key: row.idempotency_key,
        context: row.request_context,
        ready: row.ready === 1,
        open: row.open === 1,
        status: row.status,
        progress: row.progress_percent,
        run: row.run,
        ownerToken: row.owner_token,
        cancelRequested: row.cancel_requested === 1,
        aborted: row.aborted === 1,
        abortReason: row.abort_reason,
        createdAt: row.create_time,
      })),
      stages: stages.map((row) => ({
        requestId: row.request_id,
        stageId: row.stage_id,
        status: row.status,
      })),
      roles: roles.map(roleOf),
      tasks: tasks.map((row) => ({
        ...attemptOf(row),
        requestId: row.request_id,
        stageId: row.stage_id,
        roleIndex: row.role_index,
        host: row.host_name,
        role: row.role,
        roleCommand: row.role_command,
        reason: row.reason ?? "",
      })),
      formerAttempts: attempts.map(attemptOf),
      output: streamsOf(chunks),
    };
  } finally {
    await connection.query("commit");
  }
}

function attemptOf(row: RowDataPacket) {
  return {
    taskId: row.task_id as number,
    attempt: row.attempt as number,
    status: row.status as string,
    exitCode: (row.exit_code as number | null) ?? undefined,
    stdoutLength: (row.stdout_length as number | null) ?? undefined,
  };
}

function roleOf(row: RowDataPacket): StoredRole {
  return {
    requestId: row.request_id,
    stageId: row.stage_id,
    roleIndex: row.role_index,
    role: row.role,
    roleCommand: row.role_command,
    successFactor: row.success_factor,
    counters: Object.fromEntries(
      counterColumns.map((column) => [column.toUpperCase(), row[column] ?? 0]),
    ),
  };
}

function streamsOf(rows: readonly RowDataPacket[]): StoredStream[] {
  const streams: (StoredStream & { chunks: { position: number; data: Uint8Array }[] })[] = [];
  for (const row of rows) {
    const { task_id: taskId, attempt, stream, position, data } = row;
    const last = streams.at(-1);
    const same = last?.taskId === taskId && last?.attempt === attempt && last?.stream === stream;
    if (same) last?.chunks.push({ position, data });
    else streams.push({ taskId, attempt, stream, chunks: [{ position, data }] });
  }
  return streams;
}
