import type { DescMessage, DescMethodBiDiStreaming } from "@bufbuild/protobuf";
import { type ConnectError, createContextValues, type Interceptor } from "@connectrpc/connect";
import { type Peer, peerKey } from "./peer.js";

/** A call that interceptors watch, though none of its messages passes them. */
export interface WatchedCall {
  /** Tells them that it is over, and how it failed if it did. */
  over(failure: ConnectError | undefined): void;
}

type AnyFn = Parameters<Interceptor>[0];

/**
 * Has interceptors see a stream that is served message by message: its method and headers, and its end. Rejects with what one of them
 * throws to refuse it.
 */
export async function watchCall(
  interceptors: readonly Interceptor[],
  method: DescMethodBiDiStreaming<DescMessage, DescMessage>,
  header: Headers,
  peer: Peer,
): Promise<WatchedCall> {
  let over: WatchedCall["over"] = () => {};
  const end = new Promise<IteratorResult<never, undefined>>((resolve, reject) => {
    over = (failure) => {
      if (failure === undefined) resolve({ done: true, value: undefined });
      else reject(failure);
    };
  });
  const none = { [Symbol.asyncIterator]: () => ({ next: () => end }) };
  const last = async () => ({
    ...{ stream: true, service: method.parent, method, message: none },
    ...{ header: new Headers(), trailer: new Headers() },
  });
  const run = interceptors.reduceRight<AnyFn>((next, each) => each(next), last as unknown as AnyFn);
  const response = await run({
    ...{ stream: true, service: method.parent, method, header, message: none },
    ...{ requestMethod: "POST", url: `http://localhost/${method.parent.typeName}/${method.name}` },
    signal: new AbortController().signal,
    contextValues: createContextValues().set(peerKey, peer),
  });
  if (!response.stream) throw new Error("an interceptor answered a stream with one message");
  // They hear of the end through what they made of the messages.
  void response.message[Symbol.asyncIterator]()
    .next()
    .then(undefined, () => {});
  return { over };
}
