import type { MethodDefinition } from "@grpc/grpc-js";

const same = (message: Buffer) => message;

/** A stream both ways whose messages are bytes as they are. */
export const bareMethod: MethodDefinition<Buffer, Buffer> = {
  path: "/bench.Bare/Connect",
  requestStream: true,
  responseStream: true,
  ...{ requestSerialize: same, requestDeserialize: same },
  ...{ responseSerialize: same, responseDeserialize: same },
};

/** As agents and dispatchers have it: both ends ping every 12 s, and wait 8 s for the answer. */
export const pings = { "grpc.keepalive_time_ms": 12_000, "grpc.keepalive_timeout_ms": 8_000 };
