import type { ClientTlsFiles } from "@howdah/rpc/tls";
import { createRpcTransport, type RpcTransport } from "@howdah/rpc/transport";

/** How to reach another service. */
export interface ConnectServiceOptions {
  /** "host:port", or several with commas. */
  readonly address: string;
  /** The name of the setting that the address comes from, for messages. Default "address". */
  readonly addressOption?: string;
  /** Default plaintext. */
  readonly tls?: ClientTlsFiles | undefined;
  /**
   * A connection that is shared with no other transport to the address: for what is large, so that the rest need not wait behind it.
   * Default false.
   */
  readonly ownConnection?: boolean;
}

/**
 * What another service may have on its way to this one before it has to wait for word that more may come: on each stream, and on all of
 * the connection. With HTTP/2's own 64 KiB a piece of output, which may be 256 KiB, costs both processes several turns, and all who follow
 * output over the connection wait for each other's. Agents keep those: over a slow network a cancel would wait behind what is larger.
 */
const windowBytes = 512 << 10;

/**
 * A transport from one service to another. Services are few, so it tries again within about a second however long the other one was
 * away; the thousands of agents must not. One that vanished without a word is given up after 15 s, before a call's usual deadline, so that
 * the call can be made again elsewhere. Throws as `createRpcTransport`.
 */
export function connectService(options: ConnectServiceOptions): RpcTransport {
  return createRpcTransport({
    ...options,
    keepStreams: true,
    keepalive: { timeMs: 10_000, timeoutMs: 5_000 },
    channelOptions: {
      "grpc.initial_reconnect_backoff_ms": 200,
      "grpc.max_reconnect_backoff_ms": 1_000,
      "grpc-node.flow_control_window": windowBytes,
    },
  });
}
