import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
  type StreamRequest,
  type StreamResponse,
} from "@connectrpc/connect";

/** The implementation of a method that streams in one direction or both. */
export type StreamingSpec = Exclude<MethodImplSpec, { kind: "unary" }>;

/**
 * Runs a streaming implementation behind the interceptors, with the meaning that Connect's own
 * `transformInvokeImplementation` gives it. Connect's wraps the answers in generators compiled for old engines, which
 * cost 8 KiB of memory for each open stream (measured with 600 idle ones: 61 KiB against 53).
 */
export async function invokeStream(
  spec: StreamingSpec,
  context: HandlerContext,
  requests: AsyncIterable<MessageShape<DescMessage>>,
  interceptors: readonly Interceptor[],
): Promise<StreamResponse> {
  const { method } = spec;
  const implementation: StreamFn = async (request) => {
    const merged: HandlerContext = {
      ...context,
      service: request.service,
      requestHeader: request.header,
      signal: request.signal,
      values: request.contextValues,
    };
    return {
      stream: true,
      service: method.parent,
      method,
      header: context.responseHeader,
      trailer: context.responseTrailer,
      message: await answers(spec, request.message, merged),
    };
  };
  // An interceptor's types allow for a unary answer to a stream; none gives one.
  const run = interceptors.reduceRight<AnyFn>((next, each) => each(next), implementation as AnyFn);
  const response = await run({
    stream: true,
    service: method.parent,
    method,
    requestMethod: context.requestMethod,
    url: context.url,
    signal: context.signal,
    header: context.requestHeader,
    contextValues: context.values,
    message: requests,
  });
  if (!response.stream) throw new Error("an interceptor answered a stream with one message");
  return response;
}

type AnyFn = Parameters<Interceptor>[0];
type StreamFn = (request: StreamRequest) => Promise<StreamResponse>;

async function answers(
  spec: StreamingSpec,
  requests: AsyncIterable<MessageShape<DescMessage>>,
  context: HandlerContext,
): Promise<AsyncIterable<MessageShape<DescMessage>>> {
  const { output } = spec.method;
  switch (spec.kind) {
    case "bidi_streaming":
      return complete(output, spec.impl(requests, context));
    case "server_streaming":
      return complete(output, spec.impl(await only(requests), context));
    case "client_streaming":
      return complete(output, one(await spec.impl(requests, context)));
  }
}

/** Makes whole messages of the partial ones that handlers give. */
function complete<T extends DescMessage>(
  schema: T,
  source: AsyncIterable<MessageInitShape<T>>,
): AsyncIterable<MessageShape<T>> {
  return {
    [Symbol.asyncIterator]() {
      const partial = source[Symbol.asyncIterator]();
      const whole = (
        result: IteratorResult<MessageInitShape<T>>,
      ): IteratorResult<MessageShape<T>> =>
        result.done === true ? result : { done: false, value: create(schema, result.value) };
      return {
        next: () => partial.next().then(whole),
        return: async (value?: unknown) => {
          await partial.return?.(value);
          return { done: true, value };
        },
      };
    },
  };
}

async function* one<T>(message: T): AsyncGenerator<T> {
  yield message;
}

/** The one request of a call whose client does not stream. */
async function only<T>(requests: AsyncIterable<T>): Promise<T> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw protocolError("no request message");
  if ((await iterator.next()).done !== true) throw protocolError("more than one request message");
  return first.value;
}

function protocolError(what: string): ConnectError {
  return new ConnectError(`the call has ${what}`, Code.Unimplemented);
}
