import { sqlRows } from "@howdah/command-store/database/sql-rows";
import { untouched } from "@howdah/command-store/requests/next-task";
import {
  insertCommandsSql,
  insertTasksSql,
  taskRow,
} from "@howdah/command-store/store/insert-request";
import type { TaskRow } from "@howdah/command-store/store/task-rows";
import { taskUpdate } from "@howdah/command-store/store/write-tasks";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { type Connection, createConnection, type ResultSetHeader } from "mysql2/promise";
import type { Ends } from "../ends.js";

/** Tasks straight into MySQL, by the statements of the store and nothing around them. */
export interface DatabaseFloor {
  /** Makes, releases and ends so many tasks, and resolves with how many there were in a second. */
  tasks(count: number): Promise<number>;
}

const batch = 200;
const hosts = 200;

/**
 * Connects to the server and makes the store's own two tables anew beside it, with all their indexes. Each connection takes batch after
 * batch: tasks and their commands in one transaction, the release in the next, the report in a third. At the end all is gone.
 */
export async function startDatabaseFloor(
  ends: Ends,
  url: string,
  connections: number,
  suffix = "",
): Promise<DatabaseFloor> {
  const source = new URL(url).pathname.slice(1);
  const own = `${source}_floor${suffix}`;
  const pool: Connection[] = [];
  ends.after(async () => {
    await pool[0]?.query(`drop database if exists ${own}`);
    await Promise.all(pool.map((connection) => connection.end()));
  });
  for (let n = 0; n < connections; n += 1) pool.push(await createConnection(url));
  await pool[0]?.query(`create database ${own}`);
  for (const table of ["host_role_command", "execution_command"]) {
    await pool[0]?.query(`create table ${own}.${table} like ${source}.${table}`);
  }
  for (const connection of pool) {
    await connection.query(`use ${own}`);
    await connection.query("set session transaction isolation level read committed");
  }
  let nextId = 1;
  return {
    async tasks(count) {
      const batches = Math.ceil(count / batch);
      let taken = 0;
      const begin = performance.now();
      const work = async (connection: Connection) => {
        while (taken < batches) {
          taken += 1;
          const first = nextId;
          nextId += batch;
          await runBatch(connection, first);
        }
      };
      await Promise.all(pool.map(work));
      return (batches * batch) / ((performance.now() - begin) / 1_000);
    },
  };
}

const noCommand = Buffer.alloc(0);

/** What a request of one command line on 200 hosts writes for its tasks; a command that they share is with the stage, not with them. */
async function runBatch(connection: Connection, firstId: number): Promise<void> {
  const requestId = Math.ceil(firstId / batch);
  const ids = Array.from({ length: batch }, (_, n) => firstId + n);
  const now = Date.now();
  await connection.query("begin");
  const pending = ids.map((id) => newTask(id, requestId));
  await connection.query(insertTasksSql, [sqlRows(pending.map((row) => taskRow(requestId, row)))]);
  await connection.query(insertCommandsSql, [sqlRows(ids.map((id) => [id, noCommand]))]);
  await connection.query("commit");
  const released = pending.map((task): TaskRow => {
    const { hostId } = task;
    return {
      ...task,
      status: Status.QUEUED,
      sessionEpoch: hostId,
      changeVersion: 2,
      queueTime: now,
    };
  });
  const ended = released.map((task, n): TaskRow => {
    return {
      ...task,
      status: Status.COMPLETED,
      changeVersion: 3,
      receiveTime: now + (n % 9),
      startTime: now + (n % 9),
      endTime: now + (n % 11),
      reportTime: now,
      exitCode: 0,
      stdoutLength: 0,
      stderrLength: 0,
      structuredLength: 0,
    };
  });
  await update(connection, pending, released);
  await update(connection, released, ended);
}

/** A task as it has just been inserted, but for what makes it this one. */
const pendingTask: TaskRow = {
  ...untouched,
  taskId: 0,
  requestId: 0,
  stageId: 0,
  roleIndex: 0,
  hostId: 0,
  role: "RUN",
  roleCommand: RoleCommand.EXECUTE,
  componentCommand: null,
  batch: 0,
  manual: false,
  status: Status.PENDING,
  attempt: 1,
  sessionEpoch: 0,
  changeVersion: 1,
};

/** Only changes what is there: a field that is added behind a spread takes a microsecond, and the floor must not be one of slow literals. */
function newTask(taskId: number, requestId: number): TaskRow {
  return { ...pendingTask, taskId, requestId, hostId: (taskId % hosts) + 1 };
}

async function update(
  connection: Connection,
  before: readonly TaskRow[],
  after: readonly TaskRow[],
): Promise<void> {
  const changes = after.map((task, n) => ({ before: before[n] ?? task, after: task }));
  const { sql, bindings } = taskUpdate(changes);
  const [{ affectedRows }] = await connection.query<ResultSetHeader>(sql, [...bindings]);
  if (affectedRows !== after.length)
    throw new Error(`${affectedRows} of ${after.length} tasks changed`);
}
