import type { Knex } from "knex";

/** A piece of SQL in the place of a value. */
export interface SqlText {
  toSqlString(): string;
}

/** The id that the last INSERT of this connection into a table with AUTO_INCREMENT got. */
export const newId: SqlText = { toSqlString: () => "last_insert_id()" };

/** A value in the place of a `?`. An array stands for a list, `(1, 2)`; an array of arrays for rows, `(1, 2), (3, 4)`. */
export type Binding =
  | string
  | number
  | bigint
  | null
  | Buffer
  | SqlText
  | readonly (string | number | null | SqlText)[]
  | readonly (readonly (string | number | bigint | null | Buffer | SqlText)[])[];

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

/** Sends SQL as it is and gives what the driver gives; on a connection of the caller's, if it has one. */
export async function send(
  db: Knex,
  sql: string,
  bindings: readonly Binding[],
  connection?: unknown,
): Promise<unknown> {
  try {
    const raw = db.raw(sql, bindings as Knex.RawBinding[]);
    return await (connection === undefined ? raw : raw.connection(connection));
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
