import { onlyIf } from "../database/guard.js";
import type { Statement } from "../database/statement.js";
import { type Database, together } from "../database/together.js";

/** A condition of writes that belong to no request: no scheduler with a higher token than the one bound to `?` has taken the lease. */
export const noNewerScheduler =
  "not exists (select 1 from lease where lease.name = 'scheduler' and lease.token > ?)";

/** A moment on the database's clock. */
export interface LeaseSeen {
  /** In seconds. */
  readonly at: number;
}

/** What reads one row, a `LeaseSeen`, unless a scheduler with a higher token has taken the lease. */
export function selectUnlessReplaced(token: number): Statement {
  return {
    sql: `select unix_timestamp() as at from store where ${noNewerScheduler}`,
    bindings: [token],
  };
}

/** As long as a transaction waits for a row at most. */
const standsForSeconds = 10;

/**
 * Has a transaction run again in which `selectUnlessReplaced` read a row, when it waited for others since: a scheduler with a higher token
 * has taken the lease meanwhile, or more than 10 s have passed, within which the caller counts on its commit. Goes last before COMMIT.
 */
export function stillLeading(token: number, { at }: LeaseSeen): Statement {
  return onlyIf({
    sql: `${noNewerScheduler} and unix_timestamp() <= ?`,
    bindings: [token, at + standsForSeconds],
  });
}

/** Whether a scheduler with a higher token has taken the lease. */
export async function hasNewerScheduler(db: Database, token: number): Promise<boolean> {
  const [rows] = await together(db, [selectUnlessReplaced(token)]);
  return (rows as readonly unknown[]).length === 0;
}
