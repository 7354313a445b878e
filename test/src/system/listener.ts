import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

/** A port that alerts look at, which may go away and come back. */
export class Listener {
  private server: Server | undefined;
  private port = 0;

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async open(): Promise<void> {
    if (this.server !== undefined) return;
    this.server = createServer((socket) => socket.destroy()).listen(this.port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }
}
