import type { MethodDefinition } from "@grpc/grpc-js";

const same = (message: Buffer) => message;

/** A method whose messages are bytes as they are: nothing but grpc-js itself is measured. */
export const echoMethod: MethodDefinition<Buffer, Buffer> = {
  path: "/bench.Echo/Echo",
  requestStream: true,
  responseStream: true,
  ...{ requestSerialize: same, requestDeserialize: same },
  ...{ responseSerialize: same, responseDeserialize: same },
};
