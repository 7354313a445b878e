import type { DescMessage } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { CallContext } from "./call-context.js";
import { invokeStream, type StreamingSpec } from "./invoke-stream.js";
import { createMessageReader, type MessageReader } from "./message-reader.js";
import { encode } from "./message-size.js";
import { createMessageWriter, type MessageWriter, maxPendingBytes } from "./message-writer.js";
import { toMetadata } from "./metadata.js";
import type { OpenCall } from "./open-calls.js";
import { serveUnary } from "./serve-unary.js";
import { cancelled, contextOf, endCall, type ServeOptions, sendError } from "./serving-call.js";
import { abortError } from "./status.js";

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
    const open: OpenCall = {
      drain: (reason) => open.end(reason),
      end: (reason) => endCall(call, running, reason),
    };
    options.openCalls.add(open);
    let headerSent = false;
    try {
      // It came while the server drains.
      running.signal.throwIfAborted();
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
