import { Metadata } from "@grpc/grpc-js";

/** Headers that belong to the protocol: they are set by it, never by a caller or a handler. */
const reserved = new Set(["content-type", "te", "user-agent", "host", "connection"]);

/** Turns the headers of an incoming call or answer into `Headers`; `-bin` values become base64, as Connect has them. */
export function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [key, value] of Object.entries(metadata.toHttp2Headers())) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(key, String(one));
  }
  return headers;
}

/**
 * Turns `Headers` into what grpc-js sends. Names of the protocol (`content-type`, `grpc-…`) are left out.
 * Throws an Error for a value that is not printable ASCII; binary values belong in a `-bin` header, in base64.
 */
export function toMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  headers.forEach((value, key) => {
    if (reserved.has(key) || key.startsWith("grpc-")) return;
    if (!key.endsWith("-bin")) {
      metadata.add(key, value);
      return;
    }
    for (const one of value.split(",")) metadata.add(key, Buffer.from(one.trim(), "base64"));
  });
  return metadata;
}
