import {
  create,
  type DescMessage,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";

const encodings = new WeakMap<Message, Buffer>();

/**
 * Has a message sent as these bytes, which must be its encoding, instead of being encoded then. For messages that carry much data in
 * fields of fields: the general way copies that once for each level and whenever its buffer grows. Neither may change until
 * the call has been answered.
 */
export function encodedAs<M extends Message>(message: M, bytes: Buffer): M {
  encodings.set(message, bytes);
  return message;
}

/** The bytes that a message was given; undefined: it is encoded the general way. */
export function givenEncoding(message: Message): Buffer | undefined {
  return encodings.get(message);
}

/** A field of bytes or of a message, whose value is these parts one after the other. */
export function fieldOf(fieldNumber: number, parts: readonly Uint8Array[]): Uint8Array[] {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const lengthDelimited = 2;
  return [
    Uint8Array.of(...varint((fieldNumber << 3) | lengthDelimited), ...varint(length)),
    ...parts,
  ];
}

/** A message that has `rest`, and behind it a field of bytes or of a message, whose value is these parts one after the other. */
export function partsWith<T extends DescMessage>(
  schema: T,
  rest: MessageInitShape<T>,
  field: string & keyof T["field"],
  parts: readonly Uint8Array[],
): Uint8Array[] {
  const found = schema.field[field];
  if (found === undefined) throw new Error(`${schema.typeName} has no field ${field}`);
  return [toBinary(schema, create(schema, rest)), ...fieldOf(found.number, parts)];
}

/** Joins parts in `into` if they fit, else in a buffer of their own. */
export function joined(parts: readonly Uint8Array[], into?: Buffer): Buffer {
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const target =
    into !== undefined && into.length >= length
      ? into.subarray(0, length)
      : Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    target.set(part, at);
    at += part.byteLength;
  }
  return target;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}
