import type { Knex } from "knex";

/** A value in the place of a `?`. An array stands for a list, `(1, 2)`; an array of arrays for rows, `(1, 2), (3, 4)`. */
export type Binding =
  | string
  | number
  | bigint
  | null
  | Buffer
  | readonly (string | number | null)[]
  | readonly (readonly (string | number | bigint | null | Buffer)[])[];

/** Runs a SELECT. BIGINT columns come as numbers: ids and times stay far below 2^53. */
export async function query<Row>(
  db: Knex,
  sql: string,
  bindings: readonly Binding[] = [],
): Promise<Row[]> {
  const [rows] = (await send(db, sql, bindings)) as [Row[]];
  return rows;
}

/** What a statement did. */
export interface Executed {
  /** Rows matched by an UPDATE's conditions, whether or not their values changed; rows inserted or deleted otherwise. */
  readonly affectedRows: number;
  /** The id that AUTO_INCREMENT gave to an INSERT of one row. */
  readonly insertId: number;
}

/** Runs an INSERT, UPDATE or DELETE. */
export async function execute(
  db: Knex,
  sql: string,
  bindings: readonly Binding[] = [],
): Promise<Executed> {
  const [result] = (await send(db, sql, bindings)) as [Executed];
  return result;
}

async function send(db: Knex, sql: string, bindings: readonly Binding[]): Promise<unknown> {
  try {
    return await db.raw(sql, bindings as Knex.RawBinding[]);
  } catch (error) {
    // The driver keeps the statement with all its values there: commands and configurations, which belong into no log.
    if (error instanceof Error && "sql" in error) delete error.sql;
    throw error;
  }
}

/** Protobuf's bytes as the driver wants them, without a copy. */
export function bytes(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
