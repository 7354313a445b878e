import { setTimeout as sleep } from "node:timers/promises";
import { bareClient } from "../bare/client.js";
import { bareMethod, pings } from "./bare-method.js";

/**
 * Bare grpc-js clients in a process of their own: COUNT streams, each on a connection of its own, which say REGISTER_BYTES at first and
 * HEARTBEAT_BYTES every HEARTBEAT_MS. Tells its parent how many have been answered.
 */
const [port, count, perSecond, registerBytes, heartbeatBytes, heartbeatMs] = process.argv
  .slice(2)
  .map(Number) as [number, number, number, number, number, number];
const registration = Buffer.alloc(registerBytes, "x");
const heartbeat = Buffer.alloc(heartbeatBytes, "x");
const { path, requestSerialize, responseDeserialize } = bareMethod;
let answered = 0;

function open(): void {
  const client = bareClient(port, { ...pings, "grpc.keepalive_permit_without_calls": 1 });
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  stream.once("data", () => {
    answered += 1;
    setInterval(() => stream.write(heartbeat), heartbeatMs);
  });
  stream.on("data", () => {});
  stream.on("error", (error) => {
    throw error;
  });
  stream.write(registration);
}

process.on("disconnect", () => process.exit(0));
setInterval(() => process.send?.(answered), 200);
const everyMs = 20;
for (let opened = 0; opened < count; ) {
  for (let n = 0; n < (perSecond * everyMs) / 1_000 && opened < count; n += 1) {
    open();
    opened += 1;
  }
  await sleep(everyMs);
}
