/** The columns of a derived table, name to SQL type, in the order of each row's values. */
export type JsonColumns = Readonly<Record<string, string>>;

/**
 * SQL for a derived table of many rows that takes one `?`: JSON.stringify of an array of arrays. It is how one statement reads or
 * changes many rows by their keys, on MySQL and MariaDB alike. Name it first and join with `straight_join … force index (primary)`: then each
 * row costs one look-up in the real table's key, in the order given, and an UPDATE locks no other rows, however small the table is
 * or stale its statistics are.
 */
export function jsonRows(alias: string, columns: JsonColumns): string {
  const list = Object.entries(columns).map(
    ([name, type], index) => `${name} ${type} path '$[${index}]'`,
  );
  return `json_table(?, '$[*]' columns (${list.join(", ")})) as ${alias}`;
}
