import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Knex } from "knex";
import type { Logger } from "pino";
import { sha256Hex } from "../canonical-json.js";
import * as store from "../migrations/0001-store.js";
import { execute, query } from "./query.js";

/** A migration: forward only, and able to run again after it broke off half-way, since DDL commits by itself. */
interface Migration {
  readonly statements: readonly string[];
}

/** Thrown when a database was made by a build of Howdah whose migrations were others: what the tables are like is not known. */
export class SchemaMismatchError extends Error {
  override readonly name = "SchemaMismatchError";
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
    return Promise.resolve({
      up: (db: Knex) => run(db, name, migration),
      down: () => Promise.resolve(),
    });
  },
};

async function run(db: Knex, name: string, { statements }: Migration): Promise<void> {
  for (const statement of statements) await db.raw(statement);
  const digest = digestOf(statements);
  await db.raw(`create table if not exists migration_digest (
    name varchar(255) not null primary key, digest char(64) not null
  ) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin`);
  await execute(db, "replace into migration_digest (name, digest) values (?, ?)", [name, digest]);
}

/** Of what the statements say, however they are laid out. */
function digestOf(statements: readonly string[]): string {
  return sha256Hex(statements.map((statement) => statement.replace(/\s+/g, " ")).join("\n"));
}

const config: Knex.MigratorConfig = { migrationSource, disableTransactions: true };

const renewMs = 500;
/** A lock whose counter stood still for this long belongs to a process that is gone. */
const staleMs = 5_000;

/**
 * Brings the schema up to date. Any number of processes may call it at once: one does the work, the others wait for it.
 * The one that works shows that it is alive by counting; one that died is seen to stand still for 5 s and is replaced.
 * @throws SchemaMismatchError when the database was made by another build, whose migrations of the same names did something else
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
  const names = done.map(({ name }) => name);
  const digests = await readDigests(db);
  for (const name of names) {
    const known = migrations[name];
    // One that this build does not know is a newer build's, whose migrations leave room for this one.
    if (known === undefined || digests.get(name) === digestOf(known.statements)) continue;
    throw new SchemaMismatchError(
      `the database was made by another build of Howdah: its migration ${name} is not the one of this build. ` +
        "Use that build, or an empty database (for the demo: remove its folder, .howdah/demo)",
    );
  }
  return Object.keys(migrations).every((name) => names.includes(name));
}

async function readDigests(db: Knex): Promise<ReadonlyMap<string, string>> {
  if (!(await db.schema.hasTable("migration_digest"))) return new Map();
  const rows = await query<{ name: string; digest: string }>(
    db,
    "select name, digest from migration_digest",
  );
  return new Map(rows.map(({ name, digest }) => [name, digest]));
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
