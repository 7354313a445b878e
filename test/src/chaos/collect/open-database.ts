import { type Connection, createConnection } from "mysql2/promise";

/** Connects to the database; a connection that breaks is told of by the next query, and by nothing else. */
export async function openDatabase(url: string): Promise<Connection> {
  const connection = await createConnection({ uri: url, connectTimeout: 2_000 });
  connection.on("error", () => {});
  return connection;
}
