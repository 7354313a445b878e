import { Server, ServerCredentials } from "@grpc/grpc-js";
import { receivePath } from "./stream-floor.js";

/** A process that takes streams of bytes and answers with how many came: the other end of the bare stream. */
const bytes = (value: Buffer) => value;
const server = new Server();
server.addService(
  {
    receive: {
      path: receivePath,
      requestStream: true,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    },
  },
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
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.(port);
});
process.on("disconnect", () => process.exit(0));
