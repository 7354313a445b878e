import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Client, type ClientWritableStream, credentials } from "@grpc/grpc-js";

/** The one call of the receiver. */
export const receivePath = "/bench.Floor/Receive";

/** A bare grpc-js stream to another process. */
export interface StreamFloor {
  /** Bytes a second through so many streams at once, each on a connection of its own. */
  rate(options: { streams: number; bytesEach: number; chunkBytes: number }): Promise<number>;
  close(): void;
}

/** Starts the other process and connects to it. */
export async function openStreamFloor(mostStreams: number): Promise<StreamFloor> {
  const program = fileURLToPath(new URL("./stream-receiver.js", import.meta.url));
  const child: ChildProcess = fork(program, { stdio: "inherit" });
  const [port] = (await once(child, "message")) as [number];
  const clients = Array.from(
    { length: mostStreams },
    () =>
      new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
        "grpc.use_local_subchannel_pool": 1,
      }),
  );
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
    close() {
      for (const client of clients) client.close();
      child.disconnect();
    },
  };
}

async function send(client: Client, bytes: number, data: Buffer): Promise<void> {
  const same = (value: Buffer) => value;
  let call!: ClientWritableStream<Buffer>;
  const answered = new Promise<string>((resolve, reject) => {
    call = client.makeClientStreamRequest<Buffer, Buffer>(
      receivePath,
      same,
      same,
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
