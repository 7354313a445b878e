import { type Server, ServerCredentials } from "@grpc/grpc-js";

/** For a process that is a bare server: listens on a free port, tells that to its parent, and ends with it. */
export function listenAsChild(server: Server): void {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    process.send?.(port);
  });
  process.on("disconnect", () => process.exit(0));
}
