import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { ServerHttp2Session } from "node:http2";
import { Server } from "node:net";

/** grpc-js has no option for a server's windows and does not show the servers that it makes; Node tells of each that begins to listen. */
const listening = "tracing:net.server.listen:asyncEnd";

/**
 * Has `listen` make servers, and lets the clients of those on the port that it resolves with have `bytes` on their way before they wait for
 * word that more may come: on each stream, and on all of a connection.
 */
export async function listenWithWindow(
  bytes: number,
  listen: () => Promise<number>,
): Promise<number> {
  const servers: Server[] = [];
  const add = (message: unknown) => {
    const { server } = message as { server: unknown };
    if (server instanceof Server) servers.push(server);
  };
  subscribe(listening, add);
  try {
    const port = await listen();
    for (const server of servers.filter((each) => portOf(each) === port)) {
      server.on("session", (session: ServerHttp2Session) => {
        session.settings({ initialWindowSize: bytes });
        session.setLocalWindowSize(bytes);
      });
    }
    return port;
  } finally {
    unsubscribe(listening, add);
  }
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === "object" ? address?.port : undefined;
}
