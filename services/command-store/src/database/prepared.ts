import type { Connection, ResultSetHeader } from "mysql2";
import type { Executed } from "./statement.js";
import { type Database, isTransaction } from "./together.js";

/** A value of a prepared statement. Bytes go as they are: in the text of a statement they take twice the room, as hex. */
export type PreparedValue = string | number | null | Buffer;

/**
 * Runs an INSERT, UPDATE or DELETE as a prepared statement, which pays for values that are large. The server keeps each text for as long
 * as the connection lives, so there must be few of them. An error has the text, and no values.
 */
export async function executePrepared(
  db: Database,
  sql: string,
  values: readonly PreparedValue[],
): Promise<Executed> {
  if (isTransaction(db)) return executeOn((await db.connection()) as Connection, sql, values);
  const connection: Connection = await db.client.acquireConnection();
  try {
    return await executeOn(connection, sql, values);
  } finally {
    await db.client.releaseConnection(connection);
  }
}

function executeOn(
  connection: Connection,
  sql: string,
  values: readonly PreparedValue[],
): Promise<Executed> {
  return new Promise((resolve, reject) => {
    connection.execute<ResultSetHeader>(sql, [...values], (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
