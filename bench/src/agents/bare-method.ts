import { bytesMethod } from "../bare/bytes-method.js";

/** The idle agents' stream. */
export const bareMethod = bytesMethod("/bench.Bare/Connect");

/** As agents and dispatchers have it: both ends ping every 12 s, and wait 8 s for the answer. */
export const pings = { "grpc.keepalive_time_ms": 12_000, "grpc.keepalive_timeout_ms": 8_000 };
