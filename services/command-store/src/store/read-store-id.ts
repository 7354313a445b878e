import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** The store's id, made with its database. */
export async function readStoreId(db: Database): Promise<string> {
  const [row] = await query<{ storeId: string }>(
    db,
    "select store_id as storeId from store where id = 1",
  );
  if (row === undefined) throw new Error("the row of store is gone");
  return row.storeId;
}
