import { setTimeout as delay } from "node:timers/promises";
import type { Knex } from "knex";
import { isConflict, isLostConnection } from "./database-errors.js";
import { openTransaction } from "./open-transaction.js";
import type { Answer, Statement } from "./statement.js";
import type { Transaction } from "./together.js";

const attempts = 6;

/**
 * Runs `work` in a transaction and commits. Runs the whole of it again, up to five times with a growing random pause, when it
 * lost to another transaction (deadlock, lock time-out, certification, `StaleReadError`; from COMMIT as well) or when its
 * connection broke. After a COMMIT whose answer was lost `work` may thus meet its own effect: its conditions must make that
 * harmless. Everything else is thrown as it is, after ROLLBACK. BEGIN goes with the first statement, so that work which sends none
 * costs nothing.
 */
export function inTransaction<T>(db: Knex, work: (trx: Transaction) => Promise<T>): Promise<T> {
  return untilItHolds(() => once(db, work));
}

/** Runs reads that all see the same moment; once only. Nobody waits for its end, at which nothing is committed. */
export async function inSnapshot<T>(db: Knex, read: (trx: Transaction) => Promise<T>): Promise<T> {
  const opened = await openTransaction(db, ["set transaction isolation level repeatable read"]);
  try {
    return await read(opened.trx);
  } finally {
    void opened.close();
  }
}

/**
 * Runs statements as one transaction in one round trip, from its beginning to its commit. Runs it again as `inTransaction` does: after
 * a COMMIT whose answer was lost it may meet its own effect. Only for what needs no decision in between.
 */
export function commitTogether(db: Knex, statements: readonly Statement[]): Promise<Answer[]> {
  return inTransaction(db, (trx) => trx.finish(statements));
}

async function once<T>(db: Knex, work: (trx: Transaction) => Promise<T>): Promise<T> {
  const opened = await openTransaction(db);
  try {
    const result = await work(opened.trx);
    await opened.commit();
    return result;
  } finally {
    await opened.close();
  }
}

/** As `inTransaction`, for work whose only write is one statement: that commits by itself. */
export async function untilItHolds<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const again = isConflict(error) || isLostConnection(error);
      if (!again || attempt === attempts) throw error;
      await delay(Math.random() * 5 * 2 ** attempt);
    }
  }
}
