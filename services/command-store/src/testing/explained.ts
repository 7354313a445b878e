import type { Knex } from "knex";
import { query } from "../database/query.js";
import { between } from "../database/together.js";

/** A statement as knex sent it. */
export interface Sent {
  readonly sql: string;
  readonly bindings: readonly unknown[];
}

/** Statements as knex sent them, one behind the other. */
export type SentTogether = Pick<Sent, "sql"> & Partial<Sent>;

/** Row of EXPLAIN. */
interface Explained {
  readonly table: string | null;
  readonly type: string | null;
}

/** The statements that are sent while `work` runs, each once, save those that only add. */
export async function recorded(db: Knex, work: () => Promise<unknown>): Promise<Sent[]> {
  const sent = new Map<string, Sent>();
  const listen = (all: SentTogether) => {
    for (const one of apart(all)) sent.set(one.sql, one);
  };
  db.on("query", listen);
  try {
    await work();
  } finally {
    db.removeListener("query", listen);
  }
  return [...sent.values()].filter(({ sql }) => /^\s*\(?(select|update|delete)\b/i.test(sql));
}

/** What is sent to the database while `work` runs, a round trip a text. */
export async function roundTrips(db: Knex, work: () => Promise<unknown>): Promise<string[]> {
  const sent: string[] = [];
  const listen = ({ sql }: { sql: string }) => sent.push(sql);
  db.on("query", listen);
  try {
    await work();
  } finally {
    db.removeListener("query", listen);
  }
  return sent;
}

/** The statements that went together in one round trip. knex names no bindings of a BEGIN. */
export function* apart({ sql, bindings = [] }: SentTogether): Generator<Sent> {
  let at = 0;
  for (const piece of sql.split(between)) {
    const values = piece.split("?").length - 1;
    yield { sql: piece, bindings: bindings.slice(at, at + values) };
    at += values;
  }
}

/** Which of the statements read one of these tables, or aliases of theirs, from end to end, as `TABLE: STATEMENT`. */
export async function findScans(
  db: Knex,
  sent: readonly Sent[],
  tables: RegExp,
): Promise<string[]> {
  const scans: string[] = [];
  for (const { sql, bindings } of sent) {
    const rows = await query<Explained>(db, `explain ${sql}`, bindings as never);
    for (const { table, type } of rows) {
      if (table === null || !tables.test(table)) continue;
      if (type === "ALL" || type === "index") scans.push(`${table}: ${sql}`);
    }
  }
  return scans;
}

/** How many rows the server has looked at, in indexes and tables, on the connection of a pool of one. */
export async function rowsRead(db: Knex): Promise<number> {
  const rows = await query<{ Value: string }>(db, "show session status like 'Handler_read%'");
  return rows.reduce((sum, { Value }) => sum + Number(Value), 0);
}
