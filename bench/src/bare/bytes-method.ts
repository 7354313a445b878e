import type { MethodDefinition } from "@grpc/grpc-js";

const same = (bytes: Buffer) => bytes;

/** A method whose messages are bytes as they are, so that nothing but grpc-js itself is measured. Streams both ways unless told otherwise. */
export function bytesMethod(
  path: string,
  { requestStream = true, responseStream = true } = {},
): MethodDefinition<Buffer, Buffer> {
  return {
    ...{ path, requestStream, responseStream },
    ...{ requestSerialize: same, requestDeserialize: same },
    ...{ responseSerialize: same, responseDeserialize: same },
  };
}
