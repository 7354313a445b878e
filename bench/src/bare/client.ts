import { type ChannelOptions, Client, credentials } from "@grpc/grpc-js";

/** A bare client of a server on this machine, with a connection of its own. */
export function bareClient(port: number, options: ChannelOptions = {}): Client {
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    ...options,
    "grpc.use_local_subchannel_pool": 1,
  });
}
