import { Server, type ServerDuplexStream } from "@grpc/grpc-js";
import { listenAsChild } from "../bare/listen.js";
import { bareMethod, pings } from "./bare-method.js";

/**
 * A bare grpc-js server in a process of its own, with what idle agents cost at least: their streams, pings and heartbeats. It answers the
 * first message of a stream with as many bytes as a registration is answered with, and reads on. Tells its port to its parent.
 */
const answer = Buffer.alloc(Number(process.argv[2]), "x");
const server = new Server(pings);
server.addService(
  { connect: bareMethod },
  {
    connect(call: ServerDuplexStream<Buffer, Buffer>) {
      call.once("data", () => call.write(answer));
      call.on("data", () => {});
      call.on("end", () => call.end());
      call.on("error", () => {}); // its connection is gone
    },
  },
);
listenAsChild(server);
