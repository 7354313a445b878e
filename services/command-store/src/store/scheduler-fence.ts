import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A condition of writes that belong to no request: no scheduler with a higher token than the one bound to `?` has taken the lease. */
export const noNewerScheduler =
  "not exists (select 1 from lease where lease.name = 'scheduler' and lease.token > ?)";

/** Whether a scheduler with a higher token has taken the lease. */
export async function hasNewerScheduler(db: Database, token: number): Promise<boolean> {
  const rows = await query(db, `select 1 from store where ${noNewerScheduler}`, [token]);
  return rows.length === 0;
}
