import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A row of lease. */
export interface LeaseRow {
  readonly name: string;
  /** Empty when it was given back. */
  readonly holder: string;
  readonly token: number;
  readonly counter: number;
  readonly durationMs: number;
  readonly address: string;
  readonly renewedAt: number;
}

const columns = `name, holder, token, counter, duration_ms as durationMs, address, renewed_at as renewedAt`;

/** Reads a lease. */
export async function readLease(db: Database, name: string): Promise<LeaseRow | undefined> {
  const [row] = await query<LeaseRow>(db, `select ${columns} from lease where name = ?`, [name]);
  return row;
}

/** Reads leases by their names. */
export async function readLeasesNamed(
  db: Database,
  names: readonly string[],
): Promise<Map<string, LeaseRow>> {
  const rows = await query<LeaseRow>(db, `select ${columns} from lease where name in (?)`, [names]);
  return new Map(rows.map((row) => [row.name, row]));
}

/** The leases whose name starts so, by name. */
export function readLeases(db: Database, prefix: string): Promise<LeaseRow[]> {
  const pattern = `${prefix.replace(/[\\%_]/g, "\\$&")}%`;
  return query(db, `select ${columns} from lease where name like ? order by name`, [pattern]);
}

/** Makes a lease that did not exist; whether it did. */
export async function insertLease(
  db: Database,
  lease: Omit<LeaseRow, "token" | "counter">,
): Promise<boolean> {
  const { name, holder, durationMs, address, renewedAt } = lease;
  const { affectedRows } = await execute(
    db,
    `insert ignore into lease (name, holder, token, counter, duration_ms, address, renewed_at)
    values (?, ?, 1, 1, ?, ?, ?)`,
    [name, holder, durationMs, address, renewedAt],
  );
  return affectedRows === 1;
}

/** Gives a lease to a holder with a new token, if (token, counter) are still what the caller saw; whether they were. */
export async function takeLease(
  db: Database,
  seen: LeaseRow,
  next: Pick<LeaseRow, "holder" | "durationMs" | "address" | "renewedAt">,
): Promise<boolean> {
  const { affectedRows } = await execute(
    db,
    `update lease set holder = ?, token = token + 1, counter = 1, duration_ms = ?, address = ?, renewed_at = ?
    where name = ? and token = ? and counter = ? and holder = ?`,
    [
      next.holder,
      next.durationMs,
      next.address,
      next.renewedAt,
      seen.name,
      seen.token,
      seen.counter,
      seen.holder,
    ],
  );
  return affectedRows === 1;
}

/** Counts a lease on; whether the token still holds it. */
export async function renewLease(
  db: Database,
  name: string,
  token: number,
  renewedAt: number,
): Promise<boolean> {
  const { affectedRows } = await execute(
    db,
    "update lease set counter = counter + 1, renewed_at = ? where name = ? and token = ? and holder <> ''",
    [renewedAt, name, token],
  );
  return affectedRows === 1;
}

/** Gives a lease back, if the token still holds it. */
export async function releaseLease(db: Database, name: string, token: number): Promise<void> {
  await execute(db, "update lease set holder = '', address = '' where name = ? and token = ?", [
    name,
    token,
  ]);
}
