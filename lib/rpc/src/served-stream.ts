import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { Peer } from "./peer.js";

/**
 * The server's end of a stream both ways that is served message by message. It costs a third of what the same stream costs with async
 * iterables, a context and a signal: for streams of which a process has thousands.
 */
export interface ServedStream<O extends DescMessage> {
  readonly peer: Peer;
  /** Asks for the client's next message, or the end of its requests: one for each call. */
  read(): void;
  /**
   * Sends a message. False when the transport has as much on its way as it may have: the next one is to wait for `writable`. Does nothing
   * once the stream is over. A message that is too large ends the stream.
   */
  send(message: MessageShape<O>): boolean;
  /** Ends the stream, after what was sent; as it should when there is no error. Only the first end counts. */
  end(error?: ConnectError): void;
}

/**
 * Is told what comes on a stream. What these throw ends it: a ConnectError as it is, anything else goes to the log and leaves as "internal
 * error".
 */
export interface StreamListener<I extends DescMessage> {
  /** The message that was asked for. */
  message(message: MessageShape<I>): void;
  /** The client has ended its requests, as far as can be told: a lost connection or a cancel may look like it for a moment. */
  requestsEnded(): void;
  /** More may be sent. */
  writable(): void;
  /**
   * Told once, and nothing after it: the stream is over for this reason, also when it was `end` that ended it. A connection that was given
   * up because its peer was silent: see `peerSilentMs`.
   */
  over(reason: ConnectError): void;
}

/** Takes a stream that has been opened, and says who listens to it. May throw, as the listener may. */
export type OpenStream<I extends DescMessage, O extends DescMessage> = (
  stream: ServedStream<O>,
) => StreamListener<I>;
