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

/** A statement and the values of its `?`. */
export interface Statement {
  readonly sql: string;
  readonly bindings: readonly Binding[];
  /**
   * How many rows an UPDATE in a transaction must match. On any other number its transaction goes no further, to COMMIT neither:
   * `StaleReadError`. Default: not looked at.
   */
  readonly rows?: number;
}

/** What a statement did. */
export interface Executed {
  /** Rows matched by an UPDATE's conditions, whether or not their values changed; rows inserted or deleted otherwise. */
  readonly affectedRows: number;
  /** The id that AUTO_INCREMENT gave to an INSERT of one row. */
  readonly insertId: number;
}

/** The rows of a SELECT, what any other statement did. */
export type Answer<Row = unknown> = readonly Row[] | Executed;
