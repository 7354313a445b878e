import { insertCommandsSql, insertTasksSql } from "@howdah/command-store/store/insert-request";
import { updateTasksSql } from "@howdah/command-store/store/write-task-changes";
import { type Connection, createConnection, type ResultSetHeader } from "mysql2/promise";

/** Tasks straight into MySQL, by the statements of the store and nothing around them. */
export interface DatabaseFloor {
  /** Makes, releases and ends so many tasks, and resolves with how many there were in a second. */
  tasks(count: number): Promise<number>;
  stop(): Promise<void>;
}

const batch = 200;
const hosts = 200;

/**
 * Connects to the server and makes the store's own two tables anew beside it, with all their indexes. Each connection takes batch after
 * batch: tasks and their commands in one transaction, the release in the next, the report in a third.
 */
export async function startDatabaseFloor(
  url: string,
  connections: number,
  suffix = "",
): Promise<DatabaseFloor> {
  const source = new URL(url).pathname.slice(1);
  const own = `${source}_floor${suffix}`;
  const pool: Connection[] = [];
  const stop = async () => {
    await pool[0]?.query(`drop database if exists ${own}`);
    await Promise.all(pool.map((connection) => connection.end()));
  };
  try {
    for (let n = 0; n < connections; n += 1) pool.push(await createConnection(url));
    await pool[0]?.query(`create database ${own}`);
    for (const table of ["host_role_command", "execution_command"]) {
      await pool[0]?.query(`create table ${own}.${table} like ${source}.${table}`);
    }
    for (const connection of pool) {
      await connection.query(`use ${own}`);
      await connection.query("set session transaction isolation level read committed");
    }
  } catch (error) {
    await stop();
    throw error;
  }
  let nextId = 1;
  return {
    stop,
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
  await connection.query(insertTasksSql(batch), [
    ...ids.map((id) => [id, requestId, 0, 0, (id % hosts) + 1, "RUN", 6, null, 0, 0, 1, 1]),
  ]);
  await connection.query(insertCommandsSql, [ids.map((id) => [id, noCommand])]);
  await connection.query("commit");
  await update(
    connection,
    // was: status, attempt, epoch, cancel; now: status, attempt, open, cancel, exit code, epoch, binding, version, times, lengths, reason
    ids.map((id) => [id, 1, 1, 0, 0, 2, 1, 1, 0, null, 7, 0, 2, now, 0, 0, ...unsaid]),
  );
  await update(
    connection,
    ids.map((id) => [
      id,
      2,
      1,
      7,
      0,
      5,
      1,
      null,
      0,
      0,
      7,
      0,
      3,
      now,
      now,
      now,
      0,
      0,
      0,
      now,
      now,
      null,
    ]),
  );
}

/** Of a task that has not ended: three lengths, two times and the reason. */
const unsaid = [null, null, null, 0, 0, null];

async function update(connection: Connection, rows: readonly unknown[][]): Promise<void> {
  const [{ affectedRows }] = await connection.query<ResultSetHeader>(updateTasksSql, [
    JSON.stringify(rows),
  ]);
  if (affectedRows !== rows.length)
    throw new Error(`${affectedRows} of ${rows.length} tasks changed`);
}
