import { once } from "node:events";
import type { Client, ClientWritableStream } from "@grpc/grpc-js";
import { bytesMethod } from "../bare/bytes-method.js";
import { endChild, firstWord, startChild } from "../bare/child.js";
import { bareClient } from "../bare/client.js";

/** The one call of the receiver. */
export const receiveMethod = bytesMethod("/bench.Floor/Receive", { responseStream: false });

/** A bare grpc-js stream to another process. */
export interface StreamFloor {
  /** Bytes a second through so many streams at once, each on a connection of its own. */
  rate(options: { streams: number; bytesEach: number; chunkBytes: number }): Promise<number>;
  close(): Promise<void>;
}

/** Starts the other process and connects to it. */
export async function openStreamFloor(mostStreams: number): Promise<StreamFloor> {
  const child = startChild(new URL("./stream-receiver.js", import.meta.url));
  const port = await firstWord<number>(child);
  const clients = Array.from({ length: mostStreams }, () => bareClient(port));
  return {
    async rate({ streams, bytesEach, chunkBytes }) {
      const data = Buffer.alloc(chunkBytes, "what a command writes, a line of it, and so on\n");
      const used = clients.slice(0, streams);
      // Connecting is not counted.
      await Promise.all(used.map((client) => send(client, 1, data)));
      const began = performance.now();
      await Promise.all(used.map((client) => send(client, bytesEach, data)));
      return (used.length * bytesEach) / ((performance.now() - began) / 1_000);
    },
    async close() {
      for (const client of clients) client.close();
      await endChild(child);
    },
  };
}

async function send(client: Client, bytes: number, data: Buffer): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = receiveMethod;
  let call!: ClientWritableStream<Buffer>;
  const answered = new Promise<string>((resolve, reject) => {
    call = client.makeClientStreamRequest<Buffer, Buffer>(
      path,
      requestSerialize,
      responseDeserialize,
      (error, value) => {
        if (error !== null) reject(error);
        else resolve(String(value));
      },
    );
  });
  for (let sent = 0; sent < bytes; ) {
    const chunk = data.subarray(0, bytes - sent);
    sent += chunk.length;
    if (!call.write(chunk)) await Promise.race([once(call, "drain"), answered]);
  }
  call.end();
  const received = await answered;
  if (received !== String(bytes)) throw new Error(`${received} of ${bytes} bytes came`);
}
