import createKnex, { type Knex } from "knex";
import type { Connection } from "mysql2";
import type { Logger } from "pino";

const sessionStatements = [
  "set names utf8mb4 collate utf8mb4_bin",
  "set time_zone = '+00:00'",
  "set session transaction isolation level read committed",
  "set session innodb_lock_wait_timeout = 10",
  // MariaDB cuts what json_arrayagg makes off there: at 1 MiB, unless told.
  "set session group_concat_max_len = 16777216",
];

/**
 * What a Galera node needs besides: before it reads or changes rows it waits until it has what was committed on the others, else a
 * report that another replica took could meet a task that is not there yet. Other servers do not know the setting.
 */
async function prepareSession(connection: Connection): Promise<void> {
  const session = connection.promise();
  // Sent together: the driver queues them, so a new connection costs one wait.
  const [[galera]] = await Promise.all([
    session.query("show variables like 'wsrep_on'"),
    ...sessionStatements.map((sql) => session.query(sql)),
  ]);
  const [row] = galera as { Value: string }[];
  if (row?.Value === "ON") await session.query("set session wsrep_sync_wait = 7");
}

/** How to reach the database. */
export interface DatabaseOptions {
  /** `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; for a socket `mysql://USER:PASSWORD@localhost/DATABASE?socket=/path`. */
  readonly url: string;
  /** How many connections at most. Default 10. */
  readonly pool?: number;
  readonly log: Logger;
}

/** What to connect to. */
interface Target {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl?: { readonly rejectUnauthorized: boolean };
}

/** Reads a database URL. Throws an Error of one line that does not repeat the password. */
export function parseDatabaseUrl(text: string): Target {
  const shape = "write it as mysql://USER:PASSWORD@HOST:PORT/DATABASE";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^(mysql|mariadb):$/.test(url.protocol)) {
    throw new Error(`HOWDAH_DATABASE_URL: is no mysql:// URL; ${shape}`);
  }
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === "" || database.includes("/")) {
    throw new Error(`HOWDAH_DATABASE_URL: names no database; ${shape}`);
  }
  const socketPath = url.searchParams.get("socket");
  return {
    ...(socketPath === null
      ? { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 3306) }
      : { socketPath }),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
    ...(url.searchParams.get("tls") === "true" ? { ssl: { rejectUnauthorized: true } } : {}),
  };
}

/**
 * A pool of connections, made as they are needed: opening it does not connect. Sessions read what is committed
 * (READ COMMITTED), their clock is UTC, and they wait 10 s for a row at most. `destroy()` closes it.
 */
export function openDatabase({ url, pool = 10, log }: DatabaseOptions): Knex {
  return createKnex({
    client: "mysql2",
    connection: {
      ...parseDatabaseUrl(url),
      timezone: "Z",
      charset: "utf8mb4",
      supportBigNumbers: true,
      // For `together`, which spares round trips. No statement is put together from what somebody sent.
      multipleStatements: true,
      connectTimeout: 5_000,
      // A machine that vanished says nothing: of one that had taken all that was sent the system knows about 20 s later, instead of two
      // hours, and the transaction runs again. (Node asks every second then, ten times, whatever the system's settings.) What was sent and
      // not taken is sent again for as long as the system does, on Linux about 15 minutes by default: keepalive does not shorten that.
      enableKeepAlive: true,
      keepAliveInitialDelay: 10_000,
    },
    pool: {
      min: 0,
      max: pool,
      afterCreate(connection: Connection, done: (error: unknown, connection: Connection) => void) {
        prepareSession(connection).then(
          () => done(null, connection),
          (error: unknown) => done(error, connection),
        );
      },
    },
    acquireConnectionTimeout: 10_000,
    // Else errors repeat the statement with all its values.
    compileSqlOnError: false,
    log: {
      warn: (message: unknown) => log.warn({ detail: message }, "database driver"),
      error: (message: unknown) => log.error({ detail: message }, "database driver"),
      deprecate() {},
      debug() {},
    },
  });
}
