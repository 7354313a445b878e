import type { Client } from "@grpc/grpc-js";
import { bytesMethod } from "../bare/bytes-method.js";

/** The unary call of the floor's processes. */
export const workMethod = bytesMethod("/floor/Work", {
  requestStream: false,
  responseStream: false,
});

const { path, requestSerialize, responseDeserialize } = workMethod;

/** Calls a process of the floor. Rejects with the error of grpc-js. */
export function callWork(client: Client, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
