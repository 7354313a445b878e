import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A way to a server, which a test may cut, or have fall silent. */
export interface LossyProxy {
  readonly address: string;
  /** Ends all connections; new ones can be made. */
  cut(): void;
  /** Passes nothing on any more, as a host does that loses its power. */
  freeze(): void;
}

/** Opens a way to the server at `address` on a free port, until the test ends. */
export async function lossyProxy(
  test: { after(end: () => void): void },
  address: string,
): Promise<LossyProxy> {
  const { hostname, port } = new URL(`http://${address}`);
  const sockets = new Set<Socket>();
  const proxy = createServer((inward) => {
    const outward = connect(Number(port), hostname);
    for (const socket of [inward, outward]) {
      sockets.add(socket);
      // A cut way ends both sockets, which is what the test wants to see from the ends.
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        inward.destroy();
        outward.destroy();
      });
    }
    inward.pipe(outward);
    outward.pipe(inward);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  test.after(() => {
    cut();
    proxy.close();
  });
  const bound = proxy.address();
  if (bound === null || typeof bound === "string") throw new Error("the proxy has no port");
  return {
    address: `127.0.0.1:${bound.port}`,
    cut,
    freeze() {
      for (const socket of sockets) socket.unpipe().pause();
    },
  };
}
