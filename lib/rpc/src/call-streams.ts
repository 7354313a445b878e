import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { deadlinePassed } from "./call-context.js";
import { callStreamHeader, notTakenTrailer } from "./call-stream.js";
import { type ClientCallOptions, startable } from "./client-call.js";
import { decode, encode } from "./message-size.js";
import { abortError, fromStatus } from "./status.js";

/** How many streams without a call are kept for a method. More are open while more calls go on at a time. */
const mostIdle = 8;
/** A stream that is older takes no further call: of several servers each gets its share again after one was away. */
const longestMs = 60_000;
/** A stream that carried a larger message takes no further call: grpc-js keeps its first and its last ones for as long as it lives. */
const largestKeptBytes = 64 << 10;
/** What a stream's first answer may take before its requests end, since an older server makes none until then. */
const firstAnswerMs = 1_000;

/** A call is tried so often on streams whose server ended them before it. */
const mostTries = 3;

/** Thrown when the server had ended the stream before it looked at the call. */
class NotTakenError extends Error {
  override readonly name = "NotTakenError";

  constructor(readonly reason: ConnectError) {
    super(reason.message);
  }
}

interface CallStream {
  /**
   * Sends a request; not before the one before it was answered. Resolves with the answer. Rejects with a ConnectError or NotTakenError, from
   * when on the stream is over.
   */
  call(bytes: Buffer, limits: CallLimits): Promise<Buffer>;
  /** Says that no more requests come. */
  end(): void;
  /** Whether it takes no further call. */
  readonly isOver: boolean;
}

/** What ends a call early. */
export interface CallLimits {
  readonly signal: AbortSignal | undefined;
  /** Undefined means no deadline. */
  readonly timeoutMs: number | undefined;
}

/** What the streams of calls need. */
export type CallStreamOptions = Omit<ClientCallOptions, "timeoutMs">;

/** The streams of a channel that each carry one unary call after another. */
export class CallStreams {
  private readonly idle = new Map<string, CallStream[]>();
  private sweep: NodeJS.Timeout | undefined;

  constructor(private readonly options: CallStreamOptions) {}

  /**
   * Calls a unary method, without headers. Rejects with a ConnectError; an abort of `signal`, and the end of `timeoutMs`, cancel the call, and
   * its stream.
   */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethod & { input: I; output: O },
    message: MessageShape<I>,
    limits: CallLimits,
  ): Promise<MessageShape<O>> {
    const bytes = encode(method.input, message, this.options.maxMessageBytes);
    const idle = this.idleOf(method);
    for (let tries = 1; ; tries += 1) {
      if (limits.signal?.aborted) throw abortError(limits.signal);
      const stream = this.take(idle) ?? open(method, this.options);
      try {
        const answer = await stream.call(bytes, limits);
        const largest = Math.max(bytes.byteLength, answer.byteLength);
        if (largest > largestKeptBytes) stream.end();
        else this.putBack(idle, stream);
        return decode(method.output, answer);
      } catch (error) {
        // Nothing was done about it. A server says that when it shuts down, and the next stream goes to another, or to its successor.
        if (!(error instanceof NotTakenError)) throw error;
        if (tries === mostTries) throw error.reason;
      }
    }
  }

  private idleOf(method: DescMethod): CallStream[] {
    const path = method.toString();
    const known = this.idle.get(path);
    if (known !== undefined) return known;
    const idle: CallStream[] = [];
    this.idle.set(path, idle);
    return idle;
  }

  /** The one that rested longest, so that calls go round where there are several servers. */
  private take(idle: CallStream[]): CallStream | undefined {
    for (;;) {
      const stream = idle.shift();
      if (stream === undefined || !stream.isOver) return stream;
      stream.end();
    }
  }

  private putBack(idle: CallStream[], stream: CallStream): void {
    if (idle.length >= mostIdle || stream.isOver) {
      stream.end();
      return;
    }
    idle.push(stream);
    this.sweep ??= setTimeout(() => this.endOld(), longestMs).unref();
  }

  /** Ends those that are too old, which nobody may ask for any more. */
  private endOld(): void {
    this.sweep = undefined;
    for (const idle of this.idle.values()) {
      for (const stream of idle.splice(0)) this.putBack(idle, stream);
    }
  }
}

function open(method: DescMethod, options: CallStreamOptions): CallStream {
  const { call, open: opened } = startable(method, { ...options, timeoutMs: undefined });
  const openedAt = performance.now();
  let hasEnded = false;
  let waiting: { resolve(answer: Buffer): void; reject(error: Error): void } | undefined;

  const end = () => {
    if (!hasEnded) call.halfClose();
    hasEnded = true;
  };
  const unanswered = setTimeout(end, firstAnswerMs).unref();
  const settle = () => {
    clearTimeout(unanswered);
    const caller = waiting;
    waiting = undefined;
    return caller;
  };
  const metadata = new Metadata();
  metadata.set(callStreamHeader, "1");
  call.start(metadata, {
    onReceiveMetadata() {},
    onReceiveMessage(answer: Buffer) {
      // Read on at once: the next answer then needs no word from here, and the end of the stream is heard of while it rests.
      call.startRead();
      settle()?.resolve(answer);
    },
    onReceiveStatus(result) {
      hasEnded = true;
      options.openCalls.delete(opened);
      settle()?.reject(errorOf(method, result));
    },
  });
  call.startRead();

  return {
    call: (bytes, { signal, timeoutMs }) =>
      new Promise((resolve, reject) => {
        const cancel = (error: ConnectError) => {
          hasEnded = true;
          opened.cancelSoon("cancelled by the caller");
          settle()?.reject(error);
        };
        const aborted = () => cancel(abortError(signal as AbortSignal));
        const late = timeoutMs && setTimeout(() => cancel(deadlinePassed()), timeoutMs);
        const left = () => {
          signal?.removeEventListener("abort", aborted);
          clearTimeout(late);
        };
        waiting = {
          resolve: (answer) => {
            left();
            resolve(answer);
          },
          reject: (error) => {
            left();
            reject(error);
          },
        };
        signal?.addEventListener("abort", aborted, { once: true });
        call.sendMessageWithContext({}, bytes);
      }),
    end,
    get isOver() {
      return hasEnded || performance.now() - openedAt > longestMs;
    },
  };
}

function errorOf(method: DescMethod, end: StatusObject): Error {
  if (end.metadata.get(notTakenTrailer).length > 0) return new NotTakenError(fromStatus(end));
  if (end.code !== status.OK) return fromStatus(end);
  return new ConnectError(`${method.toString()} was answered with no message`, Code.Unimplemented);
}
