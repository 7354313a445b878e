import type { DescMessage } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type Interceptor,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { invokeUnaryImplementation } from "@connectrpc/connect/protocol";
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { type CallContext, createCallContext } from "./call-context.js";
import { cancelReason, endWithError } from "./end-call.js";
import { invokeStream, type StreamingSpec } from "./invoke-stream.js";
import type { Keepalive } from "./keepalive.js";
import { createMessageReader, type MessageReader } from "./message-reader.js";
import { decode, encode } from "./message-size.js";
import { createMessageWriter, type MessageWriter, maxPendingBytes } from "./message-writer.js";
import { toHeaders, toMetadata } from "./metadata.js";
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
  readonly openCalls: Set<OpenCall>;
}

/** A call being served. */
export interface OpenCall {
  readonly kind: MethodImplSpec["kind"];
  /** Ends the call with `reason`: at once for the client, and through its context's signal for the handler. */
  end(reason: ConnectError): void;
}

type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

/**
 * Serves one incoming call with a Connect implementation. It stands where a grpc-js server interceptor stands and never
 * starts the call object behind it, so that a call costs no Node stream. `serveStream` is the other way, without iterables and signals.
 */
export function serveCall(
  spec: MethodImplSpec,
  call: ServerInterceptingCallInterface,
  options: ServeOptions,
): void {
  if (spec.kind === "unary") serveUnary(spec, call, options);
  else serveStream(spec, call, options);
}

function serveUnary(
  spec: UnarySpec,
  call: ServerInterceptingCallInterface,
  options: ServeOptions,
): void {
  let context: CallContext | undefined;
  let request: Buffer | undefined;

  async function run(running: CallContext): Promise<void> {
    const open = openCall(spec, call, running);
    options.openCalls.add(open);
    try {
      const { input, output } = spec.method;
      if (request === undefined) throw unimplemented(spec, "no request message");
      const message = decode(input, request);
      const answer = await invokeUnaryImplementation(spec, running, message, options.interceptors);
      const bytes = encode(output, answer, options.maxMessageBytes);
      call.sendMetadata(toMetadata(running.responseHeader));
      call.sendMessage(bytes, () => {});
      call.sendStatus({ code: 0, details: "OK", metadata: toMetadata(running.responseTrailer) });
    } catch (error) {
      sendError(call, running, error, options.log);
    } finally {
      options.openCalls.delete(open);
      running.abort();
    }
  }

  call.start({
    onReceiveMetadata(metadata) {
      context = contextOf(spec, call, metadata);
      call.startRead();
    },
    onReceiveMessage(bytes: Buffer) {
      if (request !== undefined) {
        call.sendStatus(toStatus(unimplemented(spec, "two request messages"), new Headers()));
        return;
      }
      request = bytes;
      call.startRead();
    },
    onReceiveHalfClose() {
      if (context !== undefined) void run(context);
    },
    onCancel() {
      cancelled(context, call, options.keepalive);
    },
  });
}

function serveStream(
  spec: StreamingSpec,
  call: ServerInterceptingCallInterface,
  options: ServeOptions,
): void {
  let context: CallContext | undefined;
  let reader: MessageReader<DescMessage> | undefined;

  async function run(
    running: CallContext,
    requests: MessageReader<DescMessage>,
    writer: MessageWriter,
  ): Promise<void> {
    const open = openCall(spec, call, running);
    options.openCalls.add(open);
    let headerSent = false;
    try {
      const response = await invokeStream(spec, running, requests, options.interceptors);
      const sendHeader = () => {
        if (!headerSent) call.sendMetadata(toMetadata(response.header));
        headerSent = true;
      };
      for await (const message of response.message) {
        const bytes = encode(spec.method.output, message, options.maxMessageBytes);
        sendHeader();
        const caughtUp = writer.write(bytes);
        if (caughtUp !== undefined) await caughtUp;
      }
      // A handler that ends quietly when its signal aborts has not succeeded.
      if (running.signal.aborted) throw abortError(running.signal);
      sendHeader();
      call.sendStatus({ code: 0, details: "OK", metadata: toMetadata(response.trailer) });
    } catch (error) {
      sendError(call, running, error, options.log);
    } finally {
      options.openCalls.delete(open);
      running.abort();
    }
  }

  call.start({
    onReceiveMetadata(metadata) {
      const running = contextOf(spec, call, metadata);
      const requests = createMessageReader(spec.method.input, () => call.startRead());
      const writer = createMessageWriter(
        (bytes, written) => call.sendMessage(bytes, written),
        maxPendingBytes,
      );
      running.signal.addEventListener("abort", () => {
        const error = abortError(running.signal);
        requests.fail(error);
        writer.fail(error);
      });
      context = running;
      reader = requests;
      void run(running, requests, writer);
    },
    onReceiveMessage(bytes: Buffer) {
      reader?.push(bytes);
    },
    onReceiveHalfClose() {
      // A lost connection looks like the end of the requests first and is reported as cancelled a moment later.
      setImmediate(() => reader?.end());
    },
    onCancel() {
      cancelled(context, call, options.keepalive);
    },
  });
}

function openCall(
  { kind }: MethodImplSpec,
  call: ServerInterceptingCallInterface,
  context: CallContext,
): OpenCall {
  return {
    kind,
    end(reason) {
      context.abort(reason);
      call.sendStatus(toStatus(reason, new Headers()));
    },
  };
}

/** grpc-js says this of calls that ended by themselves too, for which no reason is made: it would have a stack. */
function cancelled(
  context: CallContext | undefined,
  call: ServerInterceptingCallInterface,
  keepalive: Keepalive,
): void {
  if (context?.signal.aborted === false) context.abort(cancelReason(call, keepalive));
}

function contextOf(
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

function unimplemented(spec: MethodImplSpec, what: string): ConnectError {
  return new ConnectError(`${spec.method.toString()} was sent ${what}`, Code.Unimplemented);
}

/** Ends a call with an error, whatever was thrown. Throws nothing itself: nobody else would end the call. */
function sendError(
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
