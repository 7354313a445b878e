import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A package that is there. */
export interface StoredPackage {
  readonly size: number;
  readonly uploadId: string;
}

/** The package of this digest. */
export async function findPackage(
  db: Database,
  digest: string,
): Promise<StoredPackage | undefined> {
  const [row] = await query<{ size: number; upload_id: string }>(
    db,
    "select size, upload_id from package where digest = ?",
    [digest],
  );
  return row && { size: row.size, uploadId: row.upload_id };
}

/** Those of the digests that the store does not have, in the order given. */
export async function findMissingPackages(
  db: Database,
  digests: readonly string[],
): Promise<string[]> {
  if (digests.length === 0) return [];
  const rows = await query<{ digest: string }>(
    db,
    "select digest from package where digest in (?)",
    [digests],
  );
  const there = new Set(rows.map((row) => row.digest));
  return digests.filter((digest) => !there.has(digest));
}

const chunksAtOnce = 4;

/** The chunks of an upload in their order, 1 MiB in memory at a time. */
export async function* readPackageChunks(db: Database, uploadId: string): AsyncGenerator<Buffer> {
  for (let position = 0; ; position += chunksAtOnce) {
    const rows = await query<{ data: Buffer }>(
      db,
      `select data from package_chunk where upload_id = ? and position >= ? and position < ?
      order by position`,
      [uploadId, position, position + chunksAtOnce],
    );
    for (const { data } of rows) yield data;
    if (rows.length < chunksAtOnce) return;
  }
}
