/** How a connection finds out that its peer has vanished without a word. */
export interface Keepalive {
  /** A ping goes out when nothing was heard for this long. Default 30,000; agents use 12,000. */
  timeMs: number;
  /** The connection is given up when the ping's answer takes this long. Default 10,000; agents use 8,000. */
  timeoutMs: number;
}

export const defaultKeepalive: Keepalive = { timeMs: 30_000, timeoutMs: 10_000 };

/** The options of grpc-js for it, the same for servers and channels. */
export function keepaliveOptions({ timeMs, timeoutMs }: Keepalive): Record<string, number> {
  return { "grpc.keepalive_time_ms": timeMs, "grpc.keepalive_timeout_ms": timeoutMs };
}
