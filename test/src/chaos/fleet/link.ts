import { once } from "node:events";
import { type AddressInfo, createServer, connect as dial, type Socket } from "node:net";

/**
 * What a link does to what goes through it. open: nothing. cut: connections break and no new ones are made. silent: connections
 * stay and nothing gets through, either way. deaf: what the client sends arrives, no answer comes back: acknowledgements are lost.
 */
export type LinkState = "open" | "cut" | "silent" | "deaf";

/** The only way from one part to another: a TCP proxy on a port of its own. */
export interface Link {
  /** Such as "scheduler-1>command-store-2". */
  readonly name: string;
  /** The port on 127.0.0.1 that the client is told. */
  readonly port: number;
  /** "127.0.0.1:PORT". */
  readonly address: string;
  readonly state: LinkState;
  set(state: LinkState): void;
  /** Holds up everything, both ways, for so long; 0: for no time. */
  delay(ms: number): void;
  close(): void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  /** Bytes were lost: the connection can't be used once the link works again. */
  spoiled: boolean;
}

/** Opens a link. `target`: the server's present port on 127.0.0.1, undefined while it is not there. */
export async function openLink(name: string, target: () => number | undefined): Promise<Link> {
  let state: LinkState = "open";
  let delayMs = 0;
  const pairs = new Set<Pair>();
  const server = createServer({ noDelay: true }, accept);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  function accept(client: Socket): void {
    const to = target();
    client.on("error", () => {}); // either end may break off at any time
    if (state === "cut" || to === undefined) {
      client.destroy();
      return;
    }
    const pair: Pair = {
      client,
      server: dial({ port: to, host: "127.0.0.1", noDelay: true }),
      spoiled: false,
    };
    pair.server.on("error", () => {});
    pairs.add(pair);
    pipe(pair, pair.client, pair.server, () => state === "silent");
    pipe(pair, pair.server, pair.client, () => state === "silent" || state === "deaf");
  }

  function pipe(pair: Pair, from: Socket, to: Socket, loses: () => boolean): void {
    // In the order they came, whatever the delay was meanwhile; undefined stands for the end.
    const held: { readonly due: number; readonly bytes: Buffer | undefined }[] = [];
    const pass = (bytes: Buffer | undefined) => {
      if (bytes === undefined) {
        pair.client.destroy();
        pair.server.destroy();
        pairs.delete(pair);
      } else if (!to.destroyed && !to.write(bytes)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    };
    const release = () => {
      while (held[0] !== undefined && held[0].due <= performance.now()) pass(held.shift()?.bytes);
      if (held[0] !== undefined) setTimeout(release, held[0].due - performance.now());
    };
    const take = (bytes: Buffer | undefined) => {
      if (delayMs === 0 && held.length === 0) return pass(bytes);
      const last = held.at(-1)?.due ?? 0;
      held.push({ due: Math.max(last, performance.now() + delayMs), bytes });
      if (held.length === 1) release();
    };
    from.on("data", (bytes: Buffer) => {
      if (loses()) pair.spoiled = true;
      else take(bytes);
    });
    from.on("close", () => take(undefined));
  }

  function breakOff(which: (pair: Pair) => boolean): void {
    for (const pair of pairs) {
      if (!which(pair)) continue;
      pair.client.destroy();
      pair.server.destroy();
      pairs.delete(pair);
    }
  }

  return {
    name,
    port,
    address: `127.0.0.1:${port}`,
    get state() {
      return state;
    },
    set(next) {
      state = next;
      if (next === "cut") breakOff(() => true);
      if (next === "open") breakOff(({ spoiled }) => spoiled);
    },
    delay(ms) {
      delayMs = ms;
    },
    close() {
      breakOff(() => true);
      server.close();
    },
  };
}
