import type { Client } from "@grpc/grpc-js";

/** The unary call of the floor's processes. */
export const workPath = "/floor/Work";

/** Passes bytes on as they are. */
export const identity = (bytes: Buffer) => bytes;

/** Calls a process of the floor. Rejects with the error of grpc-js. */
export function callWork(client: Client, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(workPath, identity, identity, message, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}
