import { setTimeout as delay } from "node:timers/promises";
import type { Knex } from "knex";
import type { Logger } from "pino";
import { isUnavailable, reasonOf } from "./database-errors.js";
import { migrate } from "./migrate.js";

const checkMs = 1_000;
const answerMs = 5_000;
const longestPauseMs = 5_000;

/** Waits, however long, for a database that answers, and brings its schema up to date. Throws when the signal aborts. */
export async function prepareDatabase(db: Knex, log: Logger, signal: AbortSignal): Promise<void> {
  for (let pauseMs = 100; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
    try {
      await migrate(db, log);
      return;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      log.warn(
        { reason: reasonOf(error), pauseMs },
        "the database cannot be reached, trying again",
      );
    }
    await delay(pauseMs, undefined, { signal });
  }
}

/**
 * Looks once a second whether the database answers and tells when that changes, until the signal aborts. Asks it only when a statement has
 * failed, or nobody had an answer for two seconds: an idle installation asks for its leases more often than that.
 *
 * @param lookMs how often it looks. Default 1,000
 */
export async function watchDatabase(
  db: Knex,
  log: Logger,
  signal: AbortSignal,
  tell: (reachable: boolean) => void,
  lookMs = checkMs,
): Promise<void> {
  let reachable = true;
  let answeredAt = Number.NEGATIVE_INFINITY;
  const answered = () => {
    answeredAt = performance.now();
  };
  const failed = () => {
    answeredAt = Number.NEGATIVE_INFINITY;
  };
  db.on("query-response", answered).on("query-error", failed);
  try {
    while (!signal.aborted) {
      const isFresh: boolean = reachable && performance.now() - answeredAt < 2 * lookMs;
      const problem: string | undefined = isFresh ? undefined : await ask(db);
      if (reachable !== (problem === undefined)) {
        reachable = problem === undefined;
        if (reachable) log.info("the database answers again");
        else log.error({ reason: problem }, "the database cannot be reached");
        tell(reachable);
      }
      await delay(lookMs, undefined, { signal }).catch(() => {});
    }
  } finally {
    db.removeListener("query-response", answered).removeListener("query-error", failed);
  }
}

/** Why the database does not answer; undefined when it does. */
async function ask(db: Knex): Promise<string | undefined> {
  try {
    await db.raw("select 1").timeout(answerMs);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
