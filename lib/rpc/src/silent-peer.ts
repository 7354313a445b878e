import { Code, ConnectError } from "@connectrpc/connect";

/** The cause of the error of calls whose connection was given up because nothing answered its keepalive pings. */
class SilentPeerError extends Error {
  override readonly name = "SilentPeerError";

  constructor(readonly silentMs: number) {
    super(`no answer to pings for ${silentMs} ms`);
  }
}

/** The error of a call whose connection was given up since the peer has been silent for so long. */
export function silentPeer(silentMs: number): ConnectError {
  const cause = new SilentPeerError(silentMs);
  const what = `the connection was given up: ${cause.message}`;
  return new ConnectError(what, Code.Canceled, undefined, undefined, cause);
}

/**
 * How long ago, at most, the peer of a call last answered a ping, once the call's signal has aborted, or a stream was over, because of that.
 * 0 while it lives and after every other end: a cancelled call, a connection that the peer closed or reset.
 */
export function peerSilentMs({ reason }: { readonly reason: unknown }): number {
  if (!(reason instanceof ConnectError)) return 0;
  return reason.cause instanceof SilentPeerError ? reason.cause.silentMs : 0;
}
