import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mariadb, startMariadb } from "@howdah/launcher/start-mariadb";
import type { Knex } from "knex";
import { createConnection } from "mysql2/promise";
import { type Logger, pino } from "pino";
import { openDatabase } from "../database/database.js";
import { migrate } from "../database/migrate.js";

/** A logger that says nothing. */
export const silent: Logger = pino({ level: "silent" });

/** A database of a test's own. */
export interface TestDatabase {
  /** For HOWDAH_DATABASE_URL and for further pools. */
  readonly url: string;
  /** A pool on it. */
  readonly db: Knex;
  /** Closes the pool and drops the database; the server with the last one. */
  close(): Promise<void>;
}

let server: Promise<{ url: string; stop(): Promise<void> }> | undefined;
let users = 0;

/** Starts a private MariaDB in a temporary folder. `stop` ends it and removes the folder. */
export async function startPrivateMariadb(
  durable = false,
): Promise<{ mariadb: Mariadb; folder: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-store-"));
  const mariadb = await startMariadb({ dataDir: folder, durable });
  const stop = async () => {
    await mariadb.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { mariadb, folder, stop };
}

async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env.HOWDAH_TEST_DATABASE_URL;
  if (given !== undefined && given !== "") return { url: given, stop: () => Promise.resolve() };
  const { mariadb, stop } = await startPrivateMariadb();
  return { url: mariadb.url, stop };
}

/**
 * Makes a database on this process's MariaDB (started with the first one), or on the server that HOWDAH_TEST_DATABASE_URL
 * names. It has the schema unless `empty`.
 */
export async function openTestDatabase(options: { empty?: boolean } = {}): Promise<TestDatabase> {
  users += 1;
  server ??= startServer();
  const { url: serverUrl, stop } = await server;
  const name = `test_${randomBytes(6).toString("hex")}`;
  await administer(serverUrl, `create database ${name} character set utf8mb4 collate utf8mb4_bin`);
  const databaseUrl = new URL(serverUrl);
  databaseUrl.pathname = `/${name}`;
  const url = databaseUrl.href;
  const db = openDatabase({ url, log: silent });
  if (options.empty !== true) await migrate(db, silent);
  return {
    url,
    db,
    async close() {
      await db.destroy();
      await administer(serverUrl, `drop database if exists ${name}`);
      users -= 1;
      if (users > 0) return;
      server = undefined;
      await stop();
    },
  };
}

async function administer(serverUrl: string, sql: string): Promise<void> {
  const anywhere = new URL(serverUrl);
  anywhere.pathname = "/";
  const connection = await createConnection(anywhere.href);
  try {
    await connection.query(sql);
  } finally {
    await connection.end();
  }
}
