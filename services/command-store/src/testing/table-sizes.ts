import type { Knex } from "knex";
import { query } from "../database/query.js";

/** How much a table holds. */
export interface TableSize {
  readonly table: string;
  /** As the optimiser estimates them. */
  readonly rows: number;
  /** Data and indexes. */
  readonly bytes: number;
}

/** The sizes of a database's tables, the largest first, those below a mebibyte left out. */
export async function readSizes(db: Knex): Promise<TableSize[]> {
  const tables = await query<{ name: string }>(
    db,
    "select table_name as name from information_schema.tables where table_schema = database()",
  );
  // Else the sizes are those of some time ago.
  for (const { name } of tables) await db.raw("analyze table ??", [name]);
  return query(
    db,
    `select table_name as \`table\`, table_rows as \`rows\`, data_length + index_length as bytes
    from information_schema.tables
    where table_schema = database() and data_length + index_length > 1048576 order by bytes desc`,
  );
}

/** "12.3 GiB", "4.5 MiB". */
export function bytesSpoken(bytes: number): string {
  const gibibytes = bytes / 2 ** 30;
  return gibibytes >= 1 ? `${gibibytes.toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
