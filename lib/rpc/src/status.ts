import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { Metadata } from "@grpc/grpc-js";
import { toMetadata } from "./metadata.js";

const detailsHeader = "grpc-status-details-bin";

/** What ends a call on the wire. */
export interface WireStatus {
  code: number;
  details: string;
  metadata: Metadata;
}

/**
 * The status that ends a call with an error. The code, message and details travel; the metadata of the error does not,
 * since an error that a handler passes on from its own client carries headers that would break the answer.
 */
export function toStatus(error: ConnectError, trailer: Headers): WireStatus {
  const metadata = toMetadata(trailer);
  // Lone surrogates cannot be percent-encoded: grpc-js would throw and never end the call.
  const message = error.rawMessage.toWellFormed();
  if (error.details.length > 0) {
    const plain = new ConnectError(message, error.code);
    plain.details = error.details;
    const encoded = setTrailerStatus(new Headers(), plain).get(detailsHeader);
    if (encoded !== null) metadata.set(detailsHeader, Buffer.from(encoded, "base64"));
  }
  return { code: error.code, details: message, metadata };
}

/** The error that a status received from a server means, without its metadata. */
export function fromStatus(status: WireStatus): ConnectError {
  const details = status.metadata.get(detailsHeader)[0];
  if (Buffer.isBuffer(details)) {
    // The text in the details is exact; grpc-message passed through two kinds of percent-encoding.
    const headers = new Headers({ [detailsHeader]: details.toString("base64") });
    const found = decoded(headers);
    if (found !== undefined) {
      const error = new ConnectError(found.rawMessage || status.details, found.code);
      error.details = found.details;
      return error;
    }
  }
  const known = status.code in Code;
  return new ConnectError(
    known ? status.details : `unknown status code ${status.code}: ${status.details}`,
    known ? status.code : Code.Unknown,
  );
}

function decoded(headers: Headers): ConnectError | undefined {
  try {
    return findTrailerError(headers);
  } catch {
    return undefined; // details that cannot be read must not hide the code and message that can
  }
}

/** The error of a call whose signal was aborted: the signal's reason where that is an RPC error, else CANCELLED. */
export function abortError(signal: AbortSignal): ConnectError {
  return ConnectError.from(signal.reason, Code.Canceled);
}
