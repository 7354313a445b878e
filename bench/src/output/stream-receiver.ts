import { Server } from "@grpc/grpc-js";
import { listenAsChild } from "../bare/listen.js";
import { receiveMethod } from "./stream-floor.js";

/** A process that takes streams of bytes and answers with how many came: the other end of the bare stream. */
const server = new Server();
server.addService(
  { receive: receiveMethod },
  {
    receive(
      call: NodeJS.ReadableStream,
      answer: (error: Error | null, value: Buffer) => void,
    ): void {
      let received = 0;
      call.on("data", (data: Buffer) => {
        received += data.length;
      });
      call.on("end", () => answer(null, Buffer.from(String(received))));
    },
  },
);
listenAsChild(server);
