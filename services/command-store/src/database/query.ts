import { type Database, together } from "./together.js";

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
  db: Database,
  sql: string,
  bindings: readonly Binding[] = [],
): Promise<Row[]> {
  const [rows] = await together(db, [{ sql, bindings }]);
  return rows as Row[];
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
  db: Database,
  sql: string,
  bindings: readonly Binding[] = [],
): Promise<Executed> {
  const [done] = await together(db, [{ sql, bindings }]);
  return done as Executed;
}

/** Protobuf's bytes as the driver wants them, without a copy. */
export function bytes(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
