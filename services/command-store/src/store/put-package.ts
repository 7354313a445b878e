import { randomUUID } from "node:crypto";
import { sha256Hex } from "../canonical-json.js";
import { StaleReadError } from "../database/database-errors.js";
import { bytes, execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";

/** How much of a package one row holds, and one message of a stream carries. */
export const chunkBytes = 256 << 10;

/** A new id for an upload. Ids sort by when they were made. */
export function makeUploadId(): string {
  return `${String(Date.now()).padStart(15, "0")}-${randomUUID()}`;
}

/** Keeps a chunk of an upload, at most 256 KiB. Nobody sees it before the package's row refers to it. */
export async function insertPackageChunk(
  db: Database,
  uploadId: string,
  position: number,
  data: Uint8Array,
): Promise<void> {
  await execute(db, "insert into package_chunk (upload_id, position, data) values (?, ?, ?)", [
    uploadId,
    position,
    bytes(data),
  ]);
}

/** A package, and the upload whose chunks it is made of. */
export interface PackageRow {
  readonly digest: string;
  readonly size: number;
  readonly uploadId: string;
}

/**
 * Makes the package visible. False when it is there already, from another upload: this one's chunks are not needed then, and the
 * other's are touched.
 */
export async function insertPackage(
  trx: Transaction,
  { digest, size, uploadId }: PackageRow,
): Promise<boolean> {
  const { affectedRows } = await execute(
    trx,
    "insert ignore into package (digest, size, upload_id, created_at) values (?, ?, ?, ?)",
    [digest, size, uploadId, Date.now()],
  );
  if (affectedRows === 0) await touchPackages(trx, [digest]);
  return affectedRows === 1;
}

/**
 * Makes packages as good as new, in the transaction that names them: a purge deletes only what nobody has touched, so of the two one
 * loses, on whatever node each runs. `StaleReadError` when one is gone.
 */
export async function touchPackages(trx: Transaction, digests: readonly string[]): Promise<void> {
  const wanted = [...new Set(digests)].sort();
  if (wanted.length === 0) return;
  const { affectedRows } = await execute(
    trx,
    // Always another value: an update that changes nothing would conflict with nobody.
    "update package set created_at = greatest(created_at + 1, ?) where digest in (?)",
    [Date.now(), wanted],
  );
  if (affectedRows !== wanted.length) throw new StaleReadError("a package has just been purged");
}

/** Removes the chunks of an upload unless a package is made of them. */
export async function deleteUpload(db: Database, uploadId: string): Promise<void> {
  await execute(
    db,
    `delete from package_chunk where upload_id = ?
      and not exists (select 1 from package where package.upload_id = package_chunk.upload_id)`,
    [uploadId],
  );
}

/** Removes the chunks of uploads that broke off more than `olderThanMs` ago, one upload at a time. Returns how many there were. */
export async function purgeUploads(db: Database, olderThanMs = 86_400_000): Promise<number> {
  const before = String(Date.now() - olderThanMs).padStart(15, "0");
  const rows = await query<{ upload_id: string }>(
    db,
    `select distinct c.upload_id from package_chunk c
    left join package p on p.upload_id = c.upload_id
    where c.upload_id < ? and p.upload_id is null`,
    [before],
  );
  for (const { upload_id } of rows) await deleteUpload(db, upload_id);
  return rows.length;
}

/** Stores a text as a package in the caller's transaction, unless it is there. Returns its digest. */
export async function putDocument(trx: Transaction, text: string): Promise<string> {
  const data = Buffer.from(text);
  const digest = sha256Hex(data);
  const uploadId = makeUploadId();
  if (!(await insertPackage(trx, { digest, size: data.length, uploadId }))) return digest;
  for (let position = 0; position * chunkBytes < data.length; position += 1) {
    const start = position * chunkBytes;
    await insertPackageChunk(trx, uploadId, position, data.subarray(start, start + chunkBytes));
  }
  return digest;
}
