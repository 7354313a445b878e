import { setTimeout as delay } from "node:timers/promises";
import type { Knex } from "knex";
import { isConflict, isLostConnection } from "./database-errors.js";

const attempts = 6;

/**
 * Runs `work` in a transaction and commits. Runs the whole of it again, up to five times with a growing random pause, when it
 * lost to another transaction (deadlock, lock time-out, certification, `StaleReadError`; from COMMIT as well) or when its
 * connection broke. After a COMMIT whose answer was lost `work` may thus meet its own effect: its conditions must make that
 * harmless. Everything else is thrown as it is, after ROLLBACK.
 */
export function inTransaction<T>(
  db: Knex,
  work: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  return untilItHolds(() => db.transaction(work));
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
