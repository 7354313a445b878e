import type { Knex } from "knex";
import type { Connection, ResultSetHeader } from "mysql2";
import type { Executed } from "./query.js";

/** A value of a prepared statement. Bytes go as they are: in the text of a statement they take twice the room, as hex. */
export type PreparedValue = string | number | null | Buffer;

/**
 * Runs an INSERT, UPDATE or DELETE as a prepared statement, which pays for values that are large. The server keeps each text for as long
 * as the connection lives, so there must be few of them. An error has the text, and no values.
 */
export async function executePrepared(
  db: Knex,
  sql: string,
  values: readonly PreparedValue[],
): Promise<Executed> {
  const { client } = db;
  const connection: Connection = await client.acquireConnection();
  try {
    return await new Promise<Executed>((resolve, reject) => {
      connection.execute<ResultSetHeader>(sql, [...values], (error, result) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
  } finally {
    await client.releaseConnection(connection);
  }
}
