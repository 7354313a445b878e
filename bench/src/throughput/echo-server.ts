import { Server, type ServerDuplexStream } from "@grpc/grpc-js";
import { listenAsChild } from "../bare/listen.js";
import { echoMethod } from "./echo-method.js";

/** A bare grpc-js server in a process of its own that sends each message of a stream back. Tells its port to its parent, and ends with it. */
const server = new Server();
server.addService(
  { echo: echoMethod },
  {
    echo(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on("data", (message: Buffer) => call.write(message));
      call.on("end", () => call.end());
      call.on("error", () => {}); // its connection is gone
    },
  },
);
listenAsChild(server);
