import { createServer as createHttp1 } from "node:http";
import {
  createServer as createHttp2,
  createSecureServer,
  type ServerHttp2Session,
} from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import type { ServerTls } from "@howdah/rpc/tls";

/** Handles a request of either version of HTTP. */
export type Handler = ReturnType<typeof connectNodeAdapter>;

/** A server of HTTP/1.1 and HTTP/2 on one port. */
export interface OnePortServer {
  /** Resolves with the port. Rejects with Node's error when it cannot. */
  listen(host: string, port: number): Promise<number>;
  /** No new connections; resolves when those that are open have ended, or were cut off after the grace. */
  close(graceMs: number): Promise<void>;
}

/** How long a connection may stay silent before its first byte. */
const firstByteMs = 30_000;
/** The first bytes of every HTTP/2 connection; no HTTP/1.1 method begins so. */
const preface = Buffer.from("PRI");

/**
 * Serves both versions of HTTP: with TLS the client chooses by ALPN; in plain text its first bytes tell (HTTP/2 "with
 * prior knowledge", as gRPC clients have it; there is no upgrade).
 */
export function createOnePortServer(handler: Handler, tls?: ServerTls): OnePortServer {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const http1 = createHttp1(handler);
  // Longer than any proxy keeps a connection idle, so that it is never us who closes one just as it is used.
  http1.keepAliveTimeout = 75_000;
  const http2 = tls
    ? createSecureServer({ ...tls, allowHTTP1: true }, handler)
    : createHttp2(handler);
  http2.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  const server: Server = tls
    ? http2
    : createServer((socket) =>
        sniff(socket, (isHttp2) => {
          if (isHttp2) http2.emit("connection", socket);
          else http1.emit("connection", socket.resume());
        }),
      );
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          const address = server.address();
          resolve(typeof address === "object" && address !== null ? address.port : port);
        });
      }),
    close: (graceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        for (const session of sessions) session.close();
        http1.close();
        http1.closeIdleConnections();
      }),
  };
}

/** Looks at the first bytes of a connection, puts them back, and says whether they are those of HTTP/2. */
function sniff(socket: Socket, found: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const giveUp = () => socket.destroy();
  const onData = (chunk: Buffer) => {
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, preface.length);
    const same = seen.subarray(0, length).equals(preface.subarray(0, length));
    if (same && seen.length < preface.length) return;
    socket.pause();
    socket.off("data", onData).off("error", giveUp).off("timeout", giveUp).setTimeout(0);
    socket.unshift(seen);
    found(same);
  };
  socket.on("data", onData).on("error", giveUp).on("timeout", giveUp).setTimeout(firstByteMs);
}
