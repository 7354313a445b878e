import type { ConnectError, MethodImplSpec } from "@connectrpc/connect";
import { invokeUnaryImplementation } from "@connectrpc/connect/protocol";
import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { CallContext } from "./call-context.js";
import { callStreamHeader, notTakenTrailer } from "./call-stream.js";
import { decode, encode } from "./message-size.js";
import { toMetadata } from "./metadata.js";
import type { OpenCall } from "./open-calls.js";
import {
  cancelled,
  contextOf,
  endCall,
  type ServeOptions,
  sendError,
  unimplemented,
} from "./serving-call.js";
import { toStatus } from "./status.js";

type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

/** What a call is told of what its client does. */
interface UnaryListener {
  /** A request has come, and the next one is being read. */
  request(bytes: Buffer): void;
  requestsEnded(): void;
  cancelled(): void;
}

/** Serves a unary method: one call, or a stream of them when its client asks for that. */
export function serveUnary(
  spec: UnarySpec,
  call: ServerInterceptingCallInterface,
  options: ServeOptions,
): void {
  let listener: UnaryListener | undefined;
  call.start({
    onReceiveMetadata(metadata) {
      const isStream = metadata.get(callStreamHeader).length > 0;
      listener = (isStream ? streamOfCalls : oneCall)(spec, call, options, metadata);
      call.startRead();
    },
    onReceiveMessage(bytes: Buffer) {
      listener?.request(bytes);
      call.startRead();
    },
    onReceiveHalfClose() {
      listener?.requestsEnded();
    },
    onCancel() {
      listener?.cancelled();
    },
  });
}

function oneCall(
  spec: UnarySpec,
  call: ServerInterceptingCallInterface,
  options: ServeOptions,
  metadata: Metadata,
): UnaryListener {
  const context = contextOf(spec, call, metadata);
  const open: OpenCall = {
    // It will be answered.
    drain() {},
    end: (reason) => endCall(call, context, reason),
  };
  let request: Buffer | undefined;

  async function run(): Promise<void> {
    options.openCalls.add(open);
    try {
      if (request === undefined) throw unimplemented(spec, "no request message");
      const bytes = await answer(spec, context, request, options);
      call.sendMetadata(toMetadata(context.responseHeader));
      call.sendMessage(bytes, () => {});
      call.sendStatus({ code: 0, details: "OK", metadata: toMetadata(context.responseTrailer) });
    } catch (error) {
      sendError(call, context, error, options.log);
    } finally {
      options.openCalls.delete(open);
      context.abort();
    }
  }

  return {
    request(bytes) {
      if (request === undefined) request = bytes;
      else call.sendStatus(toStatus(unimplemented(spec, "two request messages"), new Headers()));
    },
    requestsEnded: () => void run(),
    cancelled: () => cancelled(context, call, options.keepalive),
  };
}

/** One call after the other, each with a context of its own. Its client waits for an answer before it sends the next request. */
function streamOfCalls(
  spec: UnarySpec,
  call: ServerInterceptingCallInterface,
  options: ServeOptions,
  metadata: Metadata,
): UnaryListener {
  let running: CallContext | undefined;
  let hasAnswered = false;
  let isOver = false;
  /** Why it ends once nothing runs; `undefined` as the reason when the client has said that nothing more comes. */
  let ending: { readonly reason: ConnectError | undefined } | undefined;

  function over(): void {
    isOver = true;
    options.openCalls.delete(open);
  }

  function endIfIdle(): void {
    if (ending === undefined || running !== undefined || isOver) return;
    over();
    const { reason } = ending;
    if (reason === undefined) call.sendStatus({ code: 0, details: "OK", metadata: null });
    else call.sendStatus(toStatus(reason, new Headers({ [notTakenTrailer]: "1" })));
  }

  const open: OpenCall = {
    drain(reason) {
      ending ??= { reason };
      endIfIdle();
    },
    end(reason) {
      over();
      if (running === undefined) call.sendStatus(toStatus(reason, new Headers()));
      else endCall(call, running, reason);
    },
  };
  options.openCalls.add(open);

  async function run(context: CallContext, request: Buffer): Promise<void> {
    try {
      const bytes = await answer(spec, context, request, options);
      if (isOver) return;
      if (!hasAnswered) call.sendMetadata(new Metadata());
      hasAnswered = true;
      call.sendMessage(bytes, () => {});
    } catch (error) {
      if (isOver) return;
      over();
      sendError(call, context, error, options.log);
    } finally {
      running = undefined;
      context.abort();
      endIfIdle();
    }
  }

  return {
    request(bytes) {
      if (isOver) return;
      if (running !== undefined) {
        open.end(unimplemented(spec, "a request before the one before it was answered"));
        return;
      }
      running = contextOf(spec, call, metadata);
      void run(running, bytes);
    },
    requestsEnded() {
      // A lost connection looks like the end of the requests first and is reported as cancelled a moment later.
      setImmediate(() => {
        ending ??= { reason: undefined };
        endIfIdle();
      });
    },
    cancelled() {
      if (isOver) return;
      over();
      cancelled(running, call, options.keepalive);
    },
  };
}

async function answer(
  spec: UnarySpec,
  context: CallContext,
  request: Buffer,
  { interceptors, maxMessageBytes }: ServeOptions,
): Promise<Buffer> {
  const { input, output } = spec.method;
  const message = decode(input, request);
  const answered = await invokeUnaryImplementation(spec, context, message, interceptors);
  return encode(output, answered, maxMessageBytes);
}
