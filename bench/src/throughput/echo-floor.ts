import type { Client, ClientDuplexStream } from "@grpc/grpc-js";
import { endChild, firstWord, startChild } from "../bare/child.js";
import { bareClient } from "../bare/client.js";
import type { Ends } from "../ends.js";
import { echoMethod } from "./echo-method.js";

/** Streams to a bare echo, each on a connection of its own. */
export interface EchoFloor {
  /** Sends so many messages there and back again; resolves with how many round trips there were in a second. */
  roundTrips(count: number): Promise<number>;
}

/** How many messages a stream has on its way: as many as a host is sent commands ahead. */
const ahead = 4;

/** Starts the echo's server as a process, and connects. The other end is this process. */
export async function startEchoFloor(
  ends: Ends,
  connections: number,
  bytes: number,
): Promise<EchoFloor> {
  const server = startChild(new URL("./echo-server.js", import.meta.url));
  const clients: Client[] = [];
  const streams: ClientDuplexStream<Buffer, Buffer>[] = [];
  ends.after(async () => {
    for (const stream of streams) stream.end();
    for (const client of clients) client.close();
    await endChild(server);
  });
  const message = Buffer.alloc(bytes, "x");
  const port = await firstWord<number>(server);
  for (let n = 0; n < connections; n += 1) {
    const client = bareClient(port);
    clients.push(client);
    const { path, requestSerialize, responseDeserialize } = echoMethod;
    streams.push(client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize));
  }
  await roundTrips(streams, message, connections);
  return { roundTrips: (count) => roundTrips(streams, message, count) };
}

async function roundTrips(
  streams: readonly ClientDuplexStream<Buffer, Buffer>[],
  message: Buffer,
  count: number,
): Promise<number> {
  const begin = performance.now();
  let sent = 0;
  let back = 0;
  await new Promise<void>((resolve, reject) => {
    const sends = streams.map((stream) => {
      const send = () => {
        if (sent === count) return;
        sent += 1;
        stream.write(message);
      };
      stream.removeAllListeners("data").removeAllListeners("error");
      stream.on("error", reject).on("data", () => {
        back += 1;
        if (back === count) resolve();
        send();
      });
      return send;
    });
    for (let n = 0; n < ahead; n += 1) {
      for (const send of sends) send();
    }
  });
  return count / ((performance.now() - begin) / 1_000);
}
