import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";

/** A message as one JSON document over several lines; fields with their default value are there too. */
export function jsonDocument<T extends DescMessage>(schema: T, message: MessageShape<T>): string {
  return `${JSON.stringify(toJson(schema, message, { alwaysEmitImplicit: true }), undefined, 2)}\n`;
}

/** A message as a line, for streams of them. */
export function jsonLine<T extends DescMessage>(schema: T, message: MessageShape<T>): string {
  return `${JSON.stringify(toJson(schema, message, { alwaysEmitImplicit: true }))}\n`;
}
