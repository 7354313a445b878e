import type { Knex } from "knex";

/** A value in the place of a `?`. An array stands for a list, `(1, 2)`; an array of arrays for rows, `(1, 2), (3, 4)`. */
export type Binding =
  | string
  | number
  | bigint
  | null
  | Buffer
  | readonly (string | number)[]
  | readonly (readonly (string | number | bigint | null | Buffer)[])[];

/** Runs a SELECT. BIGINT columns come as numbers: ids and times stay far below 2^53. */
export async function query<Row>(
  db: Knex,
  sql: string,
  bindings: readonly Binding[] = [],
): Promise<Row[]> {
  const answer: unknown = await db.raw(sql, bindings as Knex.RawBinding[]);
  return (answer as [Row[]])[0];
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
  const answer: unknown = await db.raw(sql, bindings as Knex.RawBinding[]);
  return (answer as [Executed])[0];
}

/** Protobuf's bytes as the driver wants them, without a copy. */
export function bytes(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
