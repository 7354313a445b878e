import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { decode } from "./message-size.js";

/** The incoming half of a call: grpc-js pushes in, one consumer pulls out. */
export interface MessageReader<T extends DescMessage>
  extends AsyncIterableIterator<MessageShape<T>> {
  /** Takes the message that the last read asked for. */
  push(bytes: Buffer): void;
  /** No more messages come. */
  end(): void;
  /** The consumer's pending or next pull throws `error`; a second call changes nothing. */
  fail(error: unknown): void;
}

/**
 * Reads a call's messages one by one: each pull asks the transport for one message, so nothing piles up here and a slow
 * consumer slows the sender through HTTP/2 flow control.
 * @param startRead asks the transport for one message
 */
export function createMessageReader<T extends DescMessage>(
  schema: T,
  startRead: () => void,
): MessageReader<T> {
  type Result = IteratorResult<MessageShape<T>, undefined>;
  let waiting: { resolve(result: Result): void; reject(error: unknown): void } | undefined;
  let arrived: Buffer[] = [];
  let state: "open" | "ended" | "failed" = "open";
  let failure: unknown;
  const finished: Result = { done: true, value: undefined };

  function settle(result: () => Result): void {
    const consumer = waiting;
    waiting = undefined;
    if (consumer === undefined) return;
    try {
      consumer.resolve(result());
    } catch (error) {
      consumer.reject(error);
    }
  }

  const reader: MessageReader<T> = {
    push(bytes) {
      if (state !== "open") return;
      if (waiting === undefined) arrived.push(bytes);
      else settle(() => ({ done: false, value: decode(schema, bytes) }));
    },
    end() {
      if (state !== "open") return;
      state = "ended";
      settle(() => finished);
    },
    fail(error) {
      if (state !== "open") return;
      state = "failed";
      failure = error;
      settle(() => {
        throw error;
      });
    },
    async next() {
      const bytes = arrived.shift();
      if (bytes !== undefined) return { done: false, value: decode(schema, bytes) };
      if (state === "failed") throw failure;
      if (state === "ended") return finished;
      if (waiting !== undefined) throw new Error("a message is being read from this call already");
      return new Promise<Result>((resolve, reject) => {
        waiting = { resolve, reject };
        startRead();
      });
    },
    async return() {
      arrived = [];
      reader.end();
      return finished;
    },
    [Symbol.asyncIterator]: () => reader,
  };
  return reader;
}
