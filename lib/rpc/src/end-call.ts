import { Code, ConnectError } from "@connectrpc/connect";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { deadlinePassed } from "./call-context.js";
import type { Keepalive } from "./keepalive.js";
import { silentPeer } from "./silent-peer.js";
import { toStatus } from "./status.js";

/** grpc-js tells of a cancel, a passed deadline and a lost connection in one way, and after a normal end too. */
export function cancelReason(
  call: ServerInterceptingCallInterface,
  { timeMs, timeoutMs }: Keepalive,
): ConnectError {
  if (Date.now() >= Number(call.getDeadline())) return deadlinePassed();
  if (wasGivenUp(call)) return silentPeer(timeMs + timeoutMs);
  return new ConnectError(
    "the client cancelled the call or its connection was lost",
    Code.Canceled,
  );
}

/**
 * Whether we ended the connection ourselves, which outside of a drain only keepalive does: Node then closes its streams without a code.
 * Those of a connection that the peer closed end with CANCEL, of one that was reset with INTERNAL_ERROR. grpc-js keeps the stream to itself;
 * a version of it that hides it better makes this false, and a test fails.
 */
function wasGivenUp(call: object): boolean {
  const { stream } = call as { stream?: { aborted?: boolean; rstCode?: number } };
  return stream?.aborted === true && stream.rstCode === 0;
}

/** Ends a call with an error. Throws nothing itself: nobody else would end the call. */
export function endWithError(
  call: ServerInterceptingCallInterface,
  error: ConnectError,
  trailer: Headers,
  log: { readonly log: Logger; readonly method: string },
): void {
  try {
    call.sendStatus(toStatus(error, trailer));
  } catch (err) {
    log.log.error({ err, method: log.method }, "an error could not be sent as it is");
    const { code } = error;
    call.sendStatus(toStatus(new ConnectError("internal error", code), new Headers()));
  }
}
