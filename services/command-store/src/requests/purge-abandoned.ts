import { setTimeout as delay } from "node:timers/promises";
import type { Knex } from "knex";
import type { Logger } from "pino";
import { abandonPreparing, deleteAbandoned, listAbandoned } from "../store/purge-preparing.js";

const hourMs = 3_600_000;

/** Deletes requests whose making broke off more than an hour before `now`; how many. */
export async function purgeAbandoned(db: Knex, now: number): Promise<number> {
  const abandoned = await listAbandoned(db, now - hourMs);
  for (const requestId of abandoned) {
    await abandonPreparing(db, requestId);
    await deleteAbandoned(db, requestId);
  }
  return abandoned.length;
}

/** Does so now and every hour, until the signal aborts. */
export async function keepPurging(db: Knex, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const count = await purgeAbandoned(db, Date.now());
      if (count > 0) log.info({ count }, "requests whose making broke off were deleted");
    } catch (error) {
      log.warn({ err: error }, "abandoned requests could not be deleted, trying again in an hour");
    }
    await delay(hourMs, undefined, { signal }).catch(() => {});
  }
}
