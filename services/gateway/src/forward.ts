import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodStreaming,
  DescMethodUnary,
  MessageShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { onward } from "@howdah/rpc/call-id";
import { isIdempotent } from "@howdah/rpc/idempotent";
import { beginStream } from "./call-life.js";
import { isExposed } from "./exposed.js";
import { type InnerService, relayedError } from "./inner-service.js";

type Message = MessageShape<DescMessage>;

/**
 * Routes a method to the service behind, whatever its kind: messages as they are, the caller's cancel, deadline and
 * call id with it. An idempotent call is made once more when the service is away, since there may be several of it. A method that operators may not call answers UNIMPLEMENTED.
 * @param maxAgeMs how long a stream may last
 */
export function routeMethod(
  router: ConnectRouter,
  method: DescMethod,
  inner: InnerService,
  maxAgeMs: number,
): void {
  if (!isExposed(method)) {
    refuseMethod(router, method);
    return;
  }
  // A method's kind is data; the types of the four kinds are only known for generated services. Hence the casts.
  switch (method.methodKind) {
    case "unary": {
      const unary = method as DescMethodUnary;
      router.rpc(unary, (request, context) => forwardUnary(unary, inner, request, context));
      return;
    }
    case "client_streaming": {
      const stream = method as DescMethodClientStreaming;
      router.rpc(stream, (requests, context) =>
        only(forwardStream(stream, inner, requests, context, maxAgeMs)),
      );
      return;
    }
    case "server_streaming": {
      const stream = method as DescMethodServerStreaming;
      router.rpc(stream, (request, context) =>
        forwardStream(stream, inner, one(request), context, maxAgeMs),
      );
      return;
    }
    case "bidi_streaming": {
      const stream = method as DescMethodBiDiStreaming;
      router.rpc(stream, (requests, context) =>
        forwardStream(stream, inner, requests, context, maxAgeMs),
      );
    }
  }
}

/** Routes a method to an answer that says that it is not for operators. */
export function refuseMethod(router: ConnectRouter, method: DescMethod): void {
  // What only throws does so for each kind alike.
  router.rpc(method as DescMethodUnary, () => {
    throw new ConnectError(
      `${method.parent.typeName}/${method.name} is internal: Howdah's own services and agents call it, the gateway does not serve it`,
      Code.Unimplemented,
    );
  });
}

async function forwardUnary(
  method: DescMethodUnary,
  inner: InnerService,
  request: Message,
  context: HandlerContext,
): Promise<Message> {
  const call = async () => {
    const { signal, timeoutMs, headers } = onward(context);
    const answer = await inner.transport.unary(method, signal, timeoutMs, headers, request);
    return answer.message;
  };
  try {
    return await call().catch((error: unknown) => {
      // One of several processes may have died in the middle: its call then goes to another.
      if (!isIdempotent(method) || !isUnavailable(error) || context.signal.aborted) throw error;
      return call();
    });
  } catch (error) {
    throw relayedError(inner, error);
  }
}

function isUnavailable(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unavailable;
}

async function* forwardStream(
  method: DescMethodStreaming,
  inner: InnerService,
  requests: AsyncIterable<Message>,
  context: HandlerContext,
  maxAgeMs: number,
): AsyncGenerator<Message> {
  const { timeoutMs, headers } = onward(context);
  const life = beginStream(context, maxAgeMs);
  try {
    const { signal } = life;
    const answer = await inner.transport.stream(method, signal, timeoutMs, headers, requests);
    yield* answer.message;
  } catch (error) {
    throw life.tooOld() ?? relayedError(inner, error);
  } finally {
    life.end();
  }
}

async function* one(message: Message): AsyncGenerator<Message> {
  yield message;
}

/** The one answer of a client stream. */
async function only(messages: AsyncIterable<Message>): Promise<Message> {
  let found: Message | undefined;
  for await (const message of messages) found ??= message;
  if (found === undefined)
    throw new ConnectError("the call ended without an answer", Code.Internal);
  return found;
}
