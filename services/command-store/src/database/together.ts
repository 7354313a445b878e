import type { Knex } from "knex";
import type { Answer, Statement } from "./statement.js";

/** What stands between statements that go together. */
export const between = ";\n";

/** A transaction that is open: `inTransaction` gives it to its work, and ends it. */
export interface Transaction {
  /** Sends statements together and gives the answer of each, as `together` does. */
  send(statements: readonly Statement[]): Promise<Answer[]>;
  /**
   * Has writes sent along with what comes next, or with COMMIT: for those of which nobody needs the answer. Their errors are those of
   * what they go with.
   */
  later(statements: readonly Statement[]): void;
  /** As `send`, and commits, in the same round trip: for the last statements, when nothing is to be decided by their answers. */
  finish(statements: readonly Statement[]): Promise<Answer[]>;
  /** Its connection, for what is not sent as text. What waited was sent before. */
  connection(): Promise<unknown>;
}

/** Where statements go: to any connection, each on its own; or into a transaction. */
export type Database = Knex | Transaction;

/** Whether it is a transaction that is open. */
export function isTransaction(db: Database): db is Transaction {
  return "later" in db;
}

/**
 * Sends statements together and gives the answer of each, in order: what takes a round trip each otherwise takes one. The first that
 * fails ends it. Inside a transaction, or for one that is a transaction by itself.
 */
export function together(db: Database, statements: readonly Statement[]): Promise<Answer[]> {
  return isTransaction(db) ? db.send(statements) : sendTogether(db, statements);
}

/** As `together`; on a connection of the caller's, if it has one. */
export async function sendTogether(
  db: Knex,
  statements: readonly Statement[],
  connection?: unknown,
): Promise<Answer[]> {
  const sql = statements.map((statement) => statement.sql).join(between);
  const bindings = statements.flatMap((statement) => statement.bindings);
  try {
    const raw = db.raw(sql, bindings as Knex.RawBinding[]);
    const sent = connection === undefined ? raw : raw.connection(connection);
    const [answers] = (await sent) as unknown as [Answer[] | Answer];
    return statements.length === 1 ? [answers as Answer] : (answers as Answer[]);
  } catch (error) {
    // The driver keeps the statement with all its values there: commands and configurations, which belong into no log.
    if (error instanceof Error && "sql" in error) delete error.sql;
    throw error;
  }
}
