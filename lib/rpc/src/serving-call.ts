import {
  Code,
  ConnectError,
  createContextValues,
  type Interceptor,
  type MethodImplSpec,
} from "@connectrpc/connect";
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type CallContext, createCallContext } from "./call-context.js";
import { cancelReason, endWithError } from "./end-call.js";
import type { Keepalive } from "./keepalive.js";
import { toHeaders } from "./metadata.js";
import type { OpenCalls } from "./open-calls.js";
import { createPeer, peerKey } from "./peer.js";
import { abortError, toStatus } from "./status.js";

/** What all calls of a server share. */
export interface ServeOptions {
  readonly interceptors: Interceptor[];
  /** Those of them that the server was given: the others are a part of what serves a stream message by message. */
  readonly givenInterceptors: readonly Interceptor[];
  readonly maxMessageBytes: number;
  readonly log: Logger;
  readonly keepalive: Keepalive;
  /** The calls being served now; each can be ended from outside. */
  readonly openCalls: OpenCalls;
}

/** Ends a call from outside: at once for the client, and through its context's signal for the handler. */
export function endCall(
  call: ServerInterceptingCallInterface,
  context: CallContext,
  reason: ConnectError,
): void {
  context.abort(reason);
  call.sendStatus(toStatus(reason, new Headers()));
}

/** grpc-js says this of calls that ended by themselves too, for which no reason is made: it would have a stack. */
export function cancelled(
  context: CallContext | undefined,
  call: ServerInterceptingCallInterface,
  keepalive: Keepalive,
): void {
  if (context?.signal.aborted === false) context.abort(cancelReason(call, keepalive));
}

/** What a handler is told of a call. */
export function contextOf(
  spec: MethodImplSpec,
  call: ServerInterceptingCallInterface,
  metadata: Metadata,
): CallContext {
  const values = createContextValues().set(
    peerKey,
    createPeer(call.getPeer(), () => call.getAuthContext().sslPeerCertificate),
  );
  return createCallContext(spec.method, toHeaders(metadata), Number(call.getDeadline()), values);
}

/** The error of a call whose messages are not as its method says. */
export function unimplemented(spec: MethodImplSpec, what: string): ConnectError {
  return new ConnectError(`${spec.method.toString()} was sent ${what}`, Code.Unimplemented);
}

/** Ends a call with an error, whatever was thrown. Throws nothing itself: nobody else would end the call. */
export function sendError(
  call: ServerInterceptingCallInterface,
  context: CallContext,
  thrown: unknown,
  log: Logger,
): void {
  let error: ConnectError;
  if (thrown instanceof ConnectError) error = thrown;
  else if (context.signal.aborted) error = abortError(context.signal);
  else {
    // The interceptors mask what a handler throws; this is what they themselves or the encoding threw.
    log.error(
      { err: thrown, method: context.method.toString() },
      "a call failed around its handler",
    );
    error = new ConnectError("internal error", Code.Internal);
  }
  endWithError(call, error, context.responseTrailer, { log, method: context.method.toString() });
}
