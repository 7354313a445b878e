import type { PeerCertificate } from "node:tls";
import { createContextKey, type HandlerContext } from "@connectrpc/connect";

/** Who is at the other end of a call. */
export interface Peer {
  /** Address and port, such as "10.0.0.7:51324"; "unknown" where there is none. */
  readonly address: string;
  /** What the peer's verified client certificate says it is: its first URI name, else its common name. */
  readonly identity?: string | undefined;
}

/** The peer of a call; set by the server before any interceptor runs. */
export const peerKey = createContextKey<Peer>({ address: "unknown" }, { description: "peer" });

/** The peer of the call that a handler is serving. */
export function peer(context: Pick<HandlerContext, "values">): Peer {
  return context.values.get(peerKey);
}

/**
 * A peer whose certificate is looked at when somebody asks for its identity, and once: reading a certificate costs as
 * much as a small call.
 */
export function createPeer(address: string, certificate: () => PeerCertificate | undefined): Peer {
  let found: { identity: string | undefined } | undefined;
  return {
    address,
    get identity() {
      found ??= { identity: certificateIdentity(certificate()) };
      return found.identity;
    },
  };
}

/** What a certificate says its holder is: the first URI among its alternative names, else its common name. */
export function certificateIdentity(certificate: PeerCertificate | undefined): string | undefined {
  if (certificate === undefined) return undefined;
  for (const entry of subjectAltNames(certificate.subjectaltname ?? "")) {
    if (entry.startsWith("URI:")) return entry.slice("URI:".length);
  }
  // Node's types say string; a subject with two common names makes it an array, and such a name proves nothing.
  const name: unknown = certificate.subject?.CN;
  return typeof name === "string" && name !== "" ? name : undefined;
}

/**
 * Splits Node's text of alternative names, `DNS:a, URI:"b, c"`. A value that could be taken for two is quoted by Node
 * as JSON, so that a name such as "x, URI:y" cannot pretend to be another.
 */
function subjectAltNames(text: string): string[] {
  const pattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;
  return Array.from(text.matchAll(pattern), ([, kind, value = ""]) =>
    value.startsWith('"') ? `${kind}:${String(JSON.parse(value))}` : `${kind}:${value}`,
  );
}
