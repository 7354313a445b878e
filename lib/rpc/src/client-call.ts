import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Channel, Metadata, status } from "@grpc/grpc-js";
import { createMessageReader } from "./message-reader.js";
import { decode, encode } from "./message-size.js";
import { createMessageWriter } from "./message-writer.js";
import { toHeaders, toMetadata } from "./metadata.js";
import { abortError, fromStatus } from "./status.js";

/** What one outgoing call needs. */
export interface ClientCallOptions {
  readonly channel: Channel;
  readonly maxMessageBytes: number;
  /** Told to the server and kept by grpc-js too. Undefined means no deadline. */
  readonly timeoutMs: number | undefined;
  /** The calls in flight, for who closes the channel. */
  readonly openCalls: Set<OpenCall>;
}

/** A call in flight. */
export interface OpenCall {
  /**
   * Cancels it with the next turn of the event loop. At once is dangerous: Node (20.20) tells of the end of a stream from inside
   * nghttp2's handling of it, promises included, and whoever hears of that end cancels what else goes on over the connection. A stream
   * closed from there makes Node send empty frames for the one that has just ended, for ever: the process hears nothing any more and
   * takes 150 MB a second (seen with agents that were stopped and went on, as a suspended machine does).
   */
  cancelSoon(details: string): void;
}

interface Answer<T> {
  header: Headers;
  trailer: Headers;
  message: T;
}

/** Calls a unary method. Rejects with a ConnectError; an abort of `signal` cancels the call. */
export function callUnary<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { input: I; output: O },
  message: MessageShape<I>,
  header: Headers,
  signal: AbortSignal,
  options: ClientCallOptions,
): Promise<Answer<MessageShape<O>>> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) throw abortError(signal);
    const bytes = encode(method.input, message, options.maxMessageBytes);
    const metadata = toMetadata(header);
    const { call, open } = startable(method, options);
    const cancel = () => {
      reject(abortError(signal));
      open.cancelSoon("cancelled by the caller");
    };
    let responseHeader = new Metadata();
    const answers: Buffer[] = [];
    call.start(metadata, {
      onReceiveMetadata(received) {
        responseHeader = received;
      },
      onReceiveMessage(answer: Buffer) {
        answers.push(answer);
        call.startRead();
      },
      onReceiveStatus(end) {
        options.openCalls.delete(open);
        signal.removeEventListener("abort", cancel);
        if (end.code !== status.OK) {
          reject(fromStatus(end));
          return;
        }
        const [answer] = answers;
        if (answer === undefined || answers.length > 1) {
          const what = `${method.toString()} was answered with ${answers.length} messages, not one`;
          reject(new ConnectError(what, Code.Unimplemented));
          return;
        }
        try {
          resolve({
            header: toHeaders(responseHeader),
            trailer: toHeaders(end.metadata),
            message: decode(method.output, answer),
          });
        } catch (error) {
          reject(error);
        }
      },
    });
    signal.addEventListener("abort", cancel, { once: true });
    call.sendMessageWithContext({}, bytes);
    call.halfClose();
    call.startRead();
  });
}

/**
 * Opens a stream of any kind. Resolves when the server's headers are there, which servers send with their first message
 * or at the end; requests are sent meanwhile, one at a time as the connection takes them. Messages that wait unread when
 * the server fails the stream are dropped by grpc-js.
 */
export function callStream<I extends DescMessage, O extends DescMessage>(
  method: DescMethod & { input: I; output: O },
  messages: AsyncIterable<MessageShape<I>>,
  header: Headers,
  signal: AbortSignal,
  options: ClientCallOptions,
): Promise<Answer<AsyncIterable<MessageShape<O>>>> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) throw abortError(signal);
    const metadata = toMetadata(header);
    const { call, open } = startable(method, options);
    const reader = createMessageReader(method.output, () => call.startRead());
    // grpc-js can hold one message of a call that waits for its connection, so one is written at a time.
    const writer = createMessageWriter(
      (bytes, written) => call.sendMessageWithContext({ callback: written }, bytes),
      0,
    );
    const trailer = new Headers();
    let over = false;

    function fail(error: ConnectError): void {
      over = true;
      reject(error);
      reader.fail(error);
      writer.fail(error);
      open.cancelSoon("cancelled by the caller");
    }
    const cancel = () => fail(abortError(signal));

    async function sendAll(): Promise<void> {
      try {
        for await (const message of messages) {
          if (over) return;
          await writer.write(encode(method.input, message, options.maxMessageBytes));
        }
        if (!over) call.halfClose();
      } catch (error) {
        if (!over) fail(ConnectError.from(error));
      }
    }

    call.start(metadata, {
      onReceiveMetadata(received) {
        resolve({ header: toHeaders(received), trailer, message: reader });
      },
      onReceiveMessage(bytes: Buffer) {
        reader.push(bytes);
      },
      onReceiveStatus(end) {
        options.openCalls.delete(open);
        if (over) return;
        over = true;
        signal.removeEventListener("abort", cancel);
        if (end.code === status.OK) {
          toHeaders(end.metadata).forEach((value, key) => {
            trailer.append(key, value);
          });
          reader.end();
          resolve({ header: new Headers(), trailer, message: reader });
          writer.fail(new ConnectError("the server has ended the call", Code.Canceled));
        } else {
          const error = fromStatus(end);
          reject(error);
          reader.fail(error);
          writer.fail(error);
        }
      },
    });
    signal.addEventListener("abort", cancel, { once: true });
    void sendAll();
  });
}

/** A call that can be started, and the way to cancel it. */
export function startable(
  method: DescMethod,
  { channel, timeoutMs, openCalls }: ClientCallOptions,
) {
  const deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
  const path = `/${method.parent.typeName}/${method.name}`;
  const call = channel.createCall(path, deadline, null, null, null);
  const open: OpenCall = {
    cancelSoon(details) {
      setImmediate(() => call.cancelWithStatus(status.CANCELLED, details));
    },
  };
  openCalls.add(open);
  return { call, open };
}
