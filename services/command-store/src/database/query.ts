import type { Binding, Executed } from "./statement.js";
import { type Database, together } from "./together.js";

/** Runs a SELECT. BIGINT columns come as numbers: ids and times stay far below 2^53. */
export async function query<Row>(
  db: Database,
  sql: string,
  bindings: readonly Binding[] = [],
): Promise<Row[]> {
  const [rows] = await together(db, [{ sql, bindings }]);
  return rows as Row[];
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
