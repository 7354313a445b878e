import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { givenEncoding } from "./encoded-message.js";

/** The largest message either side sends or takes unless told otherwise: 4 MiB. */
export const defaultMaxMessageBytes = 4 << 20;

/**
 * Encodes a message for the wire.
 * Throws RESOURCE_EXHAUSTED naming the type, its size and the limit; so the sender learns it, not only the receiver.
 */
export function encode<T extends DescMessage>(
  schema: T,
  message: MessageShape<T>,
  maxBytes: number,
): Buffer {
  const bytes = givenEncoding(message) ?? toBinary(schema, message);
  if (bytes.byteLength > maxBytes) {
    throw new ConnectError(
      `${schema.typeName} has ${bytes.byteLength} bytes, the limit of a message is ${maxBytes}`,
      Code.ResourceExhausted,
    );
  }
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Decodes a message from the wire. Throws INVALID_ARGUMENT naming the type. */
export function decode<T extends DescMessage>(schema: T, bytes: Buffer): MessageShape<T> {
  try {
    // A plain view: fields of bytes must not come out as Buffer, whose slice() is not that of Uint8Array.
    return fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (cause) {
    throw new ConnectError(
      `cannot decode ${schema.typeName}`,
      Code.InvalidArgument,
      undefined,
      undefined,
      cause,
    );
  }
}
