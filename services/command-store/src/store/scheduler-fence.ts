import { query } from "../database/query.js";
import type { Answer, Statement } from "../database/statement.js";
import type { Database } from "../database/together.js";

/** A condition of writes that belong to no request: no scheduler with a higher token than the one bound to `?` has taken the lease. */
export const noNewerScheduler =
  "not exists (select 1 from lease where lease.name = 'scheduler' and lease.token > ?)";

/** Whether a scheduler with a higher token has taken the lease. */
export async function hasNewerScheduler(db: Database, token: number): Promise<boolean> {
  const rows = await query(db, `select 1 from store where ${noNewerScheduler}`, [token]);
  return rows.length === 0;
}

/**
 * What reads the token of the scheduler's lease; `schedulerTokenOf` takes its answer. Nobody takes the lease before the transaction ends, unless
 * it is by another node of several that are written to: there the token is as of now.
 */
export const selectSchedulerToken: Statement = {
  sql: "select token from lease where name = 'scheduler' lock in share mode",
  bindings: [],
};

/** The token that `selectSchedulerToken` has read; 0 when the lease was never taken. */
export function schedulerTokenOf(answer: Answer | undefined): number {
  const [row] = answer as readonly { readonly token: number }[];
  return row?.token ?? 0;
}
