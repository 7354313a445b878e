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

/** Asks the database once a second whether it answers and tells when that changes, until the signal aborts. */
export async function watchDatabase(
  db: Knex,
  log: Logger,
  signal: AbortSignal,
  tell: (reachable: boolean) => void,
): Promise<void> {
  let reachable = true;
  while (!signal.aborted) {
    const problem = await ask(db);
    if (reachable !== (problem === undefined)) {
      reachable = problem === undefined;
      if (reachable) log.info("the database answers again");
      else log.error({ reason: problem }, "the database cannot be reached");
      tell(reachable);
    }
    await delay(checkMs, undefined, { signal }).catch(() => {});
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
