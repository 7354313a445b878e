import type { Statement } from "../database/statement.js";
import { type Database, together } from "../database/together.js";

/** A condition of writes that belong to no request: no scheduler with a higher token than the one bound to `?` has taken the lease. */
export const noNewerScheduler =
  "not exists (select 1 from lease where lease.name = 'scheduler' and lease.token > ?)";

/** What reads one row unless a scheduler with a higher token has taken the lease. */
export function selectUnlessReplaced(token: number): Statement {
  return { sql: `select 1 from store where ${noNewerScheduler}`, bindings: [token] };
}

/** Whether a scheduler with a higher token has taken the lease. */
export async function hasNewerScheduler(db: Database, token: number): Promise<boolean> {
  const [rows] = await together(db, [selectUnlessReplaced(token)]);
  return (rows as readonly unknown[]).length === 0;
}
