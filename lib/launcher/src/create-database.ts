import { createConnection } from "mysql2/promise";

/**
 * Makes a database on the server of a `mysql://` URL, unless it is there, in UTF-8 compared byte by byte, and gives the
 * URL of that database. The URL's own database need not exist.
 */
export async function createDatabase(url: string, name: string): Promise<string> {
  if (!/^[A-Za-z0-9_]{1,64}$/.test(name)) {
    throw new Error(`database name "${name}": use 1 to 64 letters, digits and underscores`);
  }
  const server = new URL(url);
  server.pathname = "/";
  const connection = await createConnection(server.href);
  try {
    await connection.query(
      `CREATE DATABASE IF NOT EXISTS \`${name}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
    );
  } finally {
    await connection.end();
  }
  server.pathname = `/${name}`;
  return server.href;
}
