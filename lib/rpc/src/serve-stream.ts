import type { DescMessage, DescMethodBiDiStreaming, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { callIdOf } from "./call-id.js";
import { cancelReason, endWithError } from "./end-call.js";
import { logEnd } from "./log-interceptor.js";
import { decode, encode } from "./message-size.js";
import { maxPendingBytes, messageOverheadBytes } from "./message-writer.js";
import { toHeaders } from "./metadata.js";
import type { OpenCall } from "./open-calls.js";
import { createPeer, type Peer } from "./peer.js";
import type { OpenStream, ServedStream, StreamListener } from "./served-stream.js";
import type { ServeOptions } from "./serving-call.js";
import { type WatchedCall, watchCall } from "./watch-call.js";

/** A method that is served message by message, and how. */
export interface StreamMethod<I extends DescMessage, O extends DescMessage> {
  readonly method: DescMethodBiDiStreaming<I, O>;
  readonly open: OpenStream<I, O>;
  readonly options: ServeOptions;
  /** As logs and metrics have it: "howdah.v1.AgentService/Connect". */
  readonly name: string;
}

/** What a stream that ended as it should is told to be over for. */
const ended = new ConnectError("the call has ended", Code.Canceled);
const noTrailer = new Headers();

/** Serves one incoming call so. */
export function serveStream<I extends DescMessage, O extends DescMessage>(
  how: StreamMethod<I, O>,
  call: ServerInterceptingCallInterface,
): void {
  call.start(new ServedCall(how, call));
}

/** One stream: what grpc-js tells it goes to the listener, what the listener says to grpc-js. One object, since there are thousands. */
class ServedCall<I extends DescMessage, O extends DescMessage>
  implements ServedStream<O>, OpenCall
{
  readonly #how: StreamMethod<I, O>;
  readonly #call: ServerInterceptingCallInterface;
  readonly peer: Peer;
  readonly #startedAt = performance.now();
  #id = "";
  #listener: StreamListener<I> | undefined;
  #watched: WatchedCall | undefined;
  #pending = 0;
  #isWaiting = false;
  #isAsked = false;
  #isOver = false;

  constructor(how: StreamMethod<I, O>, call: ServerInterceptingCallInterface) {
    this.#how = how;
    this.#call = call;
    this.peer = createPeer(call.getPeer(), () => call.getAuthContext().sslPeerCertificate);
  }

  drain(reason: ConnectError): void {
    this.end(reason);
  }

  read(): void {
    if (this.#isOver) return;
    // Who asks while it opens the stream hears of it once it listens.
    if (this.#listener === undefined) this.#isAsked = true;
    else this.#call.startRead();
  }

  send(message: MessageShape<O>): boolean {
    if (this.#isOver) return false;
    const { method, options } = this.#how;
    let bytes: Buffer;
    try {
      bytes = encode(method.output, message, options.maxMessageBytes);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    const size = bytes.byteLength + messageOverheadBytes;
    this.#pending += size;
    this.#call.sendMessage(bytes, () => this.#written(size));
    this.#isWaiting = this.#pending > maxPendingBytes;
    return !this.#isWaiting;
  }

  end(error?: ConnectError): void {
    if (this.#isOver) return;
    if (error === undefined) this.#call.sendStatus({ code: 0, details: "OK", metadata: null });
    else {
      const { options, name } = this.#how;
      endWithError(this.#call, error, noTrailer, { log: options.log, method: name });
    }
    this.#over(error ?? ended, error);
  }

  // What grpc-js tells.

  onReceiveMetadata(metadata: Metadata): void {
    const { givenInterceptors, openCalls } = this.#how.options;
    this.#id = callIdOf({ get: (name) => metadata.get(name)[0]?.toString() ?? null });
    const header = givenInterceptors.length > 0 ? toHeaders(metadata) : undefined;
    // grpc-js keeps the headers for as long as the stream lives.
    for (const key of Object.keys(metadata.getMap())) metadata.remove(key);
    openCalls.add(this);
    // The server drains.
    if (this.#isOver) return;
    if (header === undefined) {
      this.#open();
      return;
    }
    const { method } = this.#how;
    watchCall(givenInterceptors, method, header, this.peer).then(
      (watched) => {
        this.#watched = watched;
        if (this.#isOver) watched.over(undefined);
        else this.#open();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  onReceiveMessage(bytes: Buffer): void {
    this.#tell((listener) => listener.message(decode(this.#how.method.input, bytes)));
  }

  onReceiveHalfClose(): void {
    // A lost connection looks like the end of the requests first and is reported as cancelled a moment later.
    setImmediate(() => this.#tell((listener) => listener.requestsEnded()));
  }

  onCancel(): void {
    if (this.#isOver) return;
    const reason = cancelReason(this.#call, this.#how.options.keepalive);
    this.#over(reason, reason);
  }

  #open(): void {
    try {
      const listener = this.#how.open(this);
      if (this.#isOver) listener.over(ended);
      else this.#listener = listener;
    } catch (error) {
      this.#fail(error);
    }
    if (this.#isAsked) this.read();
  }

  #written(size: number): void {
    this.#pending -= size;
    if (!this.#isWaiting || this.#pending > maxPendingBytes) return;
    this.#isWaiting = false;
    this.#tell((listener) => listener.writable());
  }

  #tell(what: (listener: StreamListener<I>) => void): void {
    if (this.#isOver || this.#listener === undefined) return;
    try {
      what(this.#listener);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(thrown: unknown): void {
    if (thrown instanceof ConnectError) {
      this.end(thrown);
      return;
    }
    this.#logInternal(thrown);
    this.end(new ConnectError(`internal error (call ${this.#id})`, Code.Internal));
  }

  #over(reason: ConnectError, failure: ConnectError | undefined): void {
    this.#isOver = true;
    const { options, name } = this.#how;
    options.openCalls.delete(this);
    this.#watched?.over(failure);
    const fields = { call: this.#id, method: name };
    const how = failure === undefined ? undefined : { error: failure };
    logEnd(options.log, fields, this.#startedAt, this.peer, how);
    const listener = this.#listener;
    this.#listener = undefined;
    try {
      listener?.over(reason);
    } catch (error) {
      this.#logInternal(error);
    }
  }

  #logInternal(err: unknown): void {
    const { options, name } = this.#how;
    options.log.error({ err, call: this.#id, method: name }, "internal error");
  }
}
