import { escape as escaped } from "mysql2";
import type { SqlText } from "./statement.js";

/** A value of a row as `sqlRows` takes it. */
export type RowValue = number | string | null | Buffer | SqlText;

/**
 * Rows as SQL, `(1, 'a'), (2, 'b')`, for the one `?` behind VALUES of a statement that may insert a thousand rows: the layers that would
 * put in each value by itself take longer for them than all else that is done with a request.
 */
export function sqlRows(rows: Iterable<readonly RowValue[]>): SqlText {
  // Of a thousand tasks most have one of a few roles.
  const texts = new Map<string, string>();

  function textOf(value: string): string {
    const known = texts.get(value);
    if (known !== undefined) return known;
    const text = escaped(value);
    texts.set(value, text);
    return text;
  }

  function sqlOf(value: RowValue): string {
    if (typeof value === "number") return String(value);
    if (typeof value === "string") return textOf(value);
    if (value === null) return "null";
    return Buffer.isBuffer(value) ? `x'${value.toString("hex")}'` : value.toSqlString();
  }

  const all: string[] = [];
  for (const row of rows) all.push(`(${row.map(sqlOf).join(",")})`);
  const sql = all.join(",");
  return { toSqlString: () => sql };
}
