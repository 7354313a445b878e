import { createHash } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import type { PutPackageRequest } from "@howdah/proto/howdah/v1/stack_service";
import type { Knex } from "knex";
import { inTransaction } from "../database/transaction.js";
import {
  chunkBytes,
  deleteUpload,
  insertPackage,
  insertPackageChunk,
  makeUploadId,
  touchPackages,
} from "../store/put-package.js";
import { findPackage } from "../store/read-package.js";
import { checkDigest } from "./stack-requests.js";

const maxMessageBytes = 1 << 20;
/** The largest package: 256 MiB. */
export const maxPackageBytes = 256 << 20;

/**
 * Stores a package as it comes in, and returns its size. It is visible when all of it is there and its digest is right; what was
 * stored of any other upload is removed. The sender is read no faster than the database writes.
 */
export async function receivePackage(
  db: Knex,
  requests: AsyncIterable<PutPackageRequest>,
  maxBytes: number,
): Promise<number> {
  const uploadId = makeUploadId();
  const hash = createHash("sha256");
  let digest: string | undefined;
  let known = false;
  let kept = false;
  let size = 0;
  let stored = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;

  const flush = async (data: Uint8Array) => {
    if (!known) await insertPackageChunk(db, uploadId, stored++, data);
  };

  try {
    for await (const request of requests) {
      if (digest === undefined) {
        checkDigest("digest", request.digest);
        digest = request.digest;
        // The stream is read to its end all the same: ending it early would fail a sender in the middle of a message.
        known = (await findPackage(db, digest)) !== undefined;
      } else if (request.digest !== "" && request.digest !== digest) {
        throw new ConnectError(
          "digest: differs from that of the first message; send one package a stream",
          Code.InvalidArgument,
        );
      }
      size += checkSize(request.data, size, maxBytes);
      hash.update(request.data);
      pending.push(request.data);
      pendingBytes += request.data.length;
      if (pendingBytes < chunkBytes) continue;
      const data = Buffer.concat(pending);
      let start = 0;
      for (; data.length - start >= chunkBytes; start += chunkBytes) {
        await flush(data.subarray(start, start + chunkBytes));
      }
      pending = [data.subarray(start)];
      pendingBytes = data.length - start;
    }
    if (digest === undefined || size === 0) {
      throw new ConnectError("data: the package is empty", Code.InvalidArgument);
    }
    const actual = hash.digest("hex");
    if (actual !== digest) {
      throw new ConnectError(
        `digest: ${digest} was stated, but the ${size} bytes have ${actual}; send the file again`,
        Code.InvalidArgument,
      );
    }
    if (pendingBytes > 0) await flush(Buffer.concat(pending));
    const row = { digest, size, uploadId };
    // Two replicas may be given one package at once: the loser of the two comes here again.
    if (!known) kept = await inTransaction(db, (trx) => insertPackage(trx, row));
    else await inTransaction(db, (trx) => touchPackages(trx, [row.digest]));
    return size;
  } finally {
    if (stored > 0 && !kept) await deleteUpload(db, uploadId);
  }
}

function checkSize(data: Uint8Array, before: number, maxBytes: number): number {
  if (data.length > maxMessageBytes) {
    throw new ConnectError(
      `data: ${data.length} bytes in a message, at most ${maxMessageBytes}; send smaller pieces`,
      Code.InvalidArgument,
    );
  }
  if (before + data.length > maxBytes) {
    throw new ConnectError(
      `data: the package has more than ${maxBytes} bytes; make it smaller, or let its script fetch the rest`,
      Code.ResourceExhausted,
    );
  }
  return data.length;
}
