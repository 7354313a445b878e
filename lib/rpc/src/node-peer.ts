import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Socket } from "node:net";
import type { PeerCertificate } from "node:tls";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import { createPeer, peerKey } from "./peer.js";

/** The `contextValues` option of a connect-node server: makes `peer(context)` work there as on ours. */
export function peerContextValues(request: IncomingMessage | Http2ServerRequest): ContextValues {
  const { socket } = request;
  const host = socket.remoteAddress ?? "unknown";
  const address = host.includes(":")
    ? `[${host}]:${socket.remotePort}`
    : `${host}:${socket.remotePort}`;
  return createContextValues().set(
    peerKey,
    createPeer(address, () => verifiedCertificate(socket)),
  );
}

/** HTTP/2 hides the socket behind a proxy object that answers to properties but not to `in` or `instanceof`. */
function verifiedCertificate(socket: MaybeTls): PeerCertificate | undefined {
  return socket.authorized === true ? socket.getPeerCertificate?.() : undefined;
}

interface MaybeTls extends Socket {
  authorized?: boolean;
  getPeerCertificate?(): PeerCertificate;
}
