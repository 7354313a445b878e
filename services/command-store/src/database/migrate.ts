import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Knex } from "knex";
import type { Logger } from "pino";
import * as store from "../migrations/0001-store.js";
import { execute, query } from "./query.js";

/** A migration: forward only, and able to run again after it broke off half-way, since DDL commits by itself. */
interface Migration {
  up(knex: Knex): Promise<void>;
}

/** Named without an extension: knex keeps the names, and would miss `.ts` files in the compiled folder. */
const migrations: Readonly<Record<string, Migration>> = {
  "0001-store": store,
};

const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: () => Promise.resolve(Object.keys(migrations)),
  getMigrationName: (name) => name,
  getMigration(name) {
    const migration = migrations[name];
    if (migration === undefined) throw new Error(`there is no migration "${name}"`);
    return Promise.resolve({ up: migration.up, down: () => Promise.resolve() });
  },
};

const config: Knex.MigratorConfig = { migrationSource, disableTransactions: true };

const renewMs = 500;
/** A lock whose counter stood still for this long belongs to a process that is gone. */
const staleMs = 5_000;

/**
 * Brings the schema up to date. Any number of processes may call it at once: one does the work, the others wait for it.
 * The one that works shows that it is alive by counting; one that died is seen to stand still for 5 s and is replaced.
 */
export async function migrate(db: Knex, log: Logger): Promise<void> {
  if (await isUpToDate(db)) return;
  const holder = randomUUID();
  await takeLock(db, holder, log);
  const stop = new AbortController();
  const renewing = renewLock(db, holder, stop.signal, log);
  try {
    // Ours is held, so a lock of knex's own can only be a dead process's.
    if (await db.schema.hasTable("knex_migrations_lock")) {
      await db.migrate.forceFreeMigrationsLock(config);
    }
    const [, applied] = (await db.migrate.latest(config)) as [number, string[]];
    if (applied.length > 0) log.info({ migrations: applied }, "the schema was brought up to date");
  } finally {
    stop.abort();
    await renewing;
    await execute(db, "update migration_lock set holder = '' where holder = ?", [holder]);
  }
}

async function isUpToDate(db: Knex): Promise<boolean> {
  if (!(await db.schema.hasTable("knex_migrations"))) return false;
  const done = await query<{ name: string }>(db, "select name from knex_migrations");
  const names = new Set(done.map(({ name }) => name));
  return Object.keys(migrations).every((name) => names.has(name));
}

async function takeLock(db: Knex, holder: string, log: Logger): Promise<void> {
  await db.raw(`create table if not exists migration_lock (
    id tinyint not null primary key, holder varchar(36) not null, counter bigint not null
  ) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin`);
  await execute(db, "insert ignore into migration_lock (id, holder, counter) values (1, '', 0)");
  let seen = { holder: "", counter: -1, since: Date.now() };
  for (;;) {
    const [row] = await query<{ holder: string; counter: number }>(
      db,
      "select holder, counter from migration_lock where id = 1",
    );
    if (row === undefined) throw new Error("the row of migration_lock is gone");
    if (row.holder !== seen.holder || row.counter !== seen.counter) {
      seen = { ...row, since: performance.now() };
    }
    const dead = row.holder !== "" && performance.now() - seen.since >= staleMs;
    if (row.holder === "" || dead) {
      if (dead) log.warn("the process that migrated the schema is gone; taking over");
      const { affectedRows } = await execute(
        db,
        "update migration_lock set holder = ?, counter = counter + 1 where id = 1 and holder = ? and counter = ?",
        [holder, row.holder, row.counter],
      );
      if (affectedRows === 1) return;
    }
    await delay(100);
  }
}

async function renewLock(
  db: Knex,
  holder: string,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  while (!signal.aborted) {
    await delay(renewMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    try {
      await execute(db, "update migration_lock set counter = counter + 1 where holder = ?", [
        holder,
      ]);
    } catch (error) {
      log.warn({ err: error }, "the migration lock could not be renewed");
    }
  }
}
