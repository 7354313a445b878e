import { Code, ConnectError } from "@connectrpc/connect";
import type { ClientTlsFiles } from "@howdah/rpc/tls";
import type { RpcTransport } from "@howdah/rpc/transport";
import { connectService } from "@howdah/service/connect-service";

/** A service that the gateway forwards to. */
export interface InnerService {
  /** For messages: "scheduler". */
  readonly name: string;
  readonly transport: RpcTransport;
}

/** How to reach a service. */
export interface InnerServiceOptions {
  /** For messages: "scheduler". */
  name: string;
  /** "host:port", or several with commas. */
  address: string;
  /** The name of the setting that the address comes from, for messages. */
  addressOption: string;
  /** Default plaintext. */
  tls?: ClientTlsFiles | undefined;
}

/** Connects, with the first call, to a service. Throws an Error that names the setting for an address that is none. */
export function createInnerService(options: InnerServiceOptions): InnerService {
  const { name, address, addressOption, tls } = options;
  return { name, transport: connectService({ address, addressOption, tls }) };
}

/**
 * What the caller is told of an error of a forwarded call: the code, message and details. Never its metadata, which would
 * become headers of our answer. That a service is away is said with its name and address.
 */
export function relayedError({ name, transport }: InnerService, error: unknown): ConnectError {
  const inner = ConnectError.from(error);
  if (inner.code === Code.Unavailable && transport.state() !== "ready") {
    const message = `the ${name} at ${transport.address} cannot be reached`;
    return new ConnectError(message, Code.Unavailable, undefined, undefined, inner);
  }
  const relayed = new ConnectError(inner.rawMessage, inner.code);
  relayed.details = inner.details;
  return relayed;
}
