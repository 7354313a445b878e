import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageShape,
} from "@bufbuild/protobuf";
import { type CallOptions, Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { PassedOnErrorSchema } from "@howdah/proto/howdah/v1/pass_on";
import { onward } from "@howdah/rpc/call-id";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { RpcTransport } from "@howdah/rpc/transport";
import { begun } from "./begun.js";
import type { OtherLeader } from "./leader-watch.js";

/** The header of a call that another scheduler has passed on: it is answered or refused here, and goes no further. */
export const passedOnHeader = "x-passed-on-by";

/** A message of any service. */
export type Message = MessageShape<DescMessage>;
/** What a method answers: one message, or several. */
export type Answer = Message | AsyncIterable<Message>;
/** A method whose calls can be passed on. */
export type Passable = DescMethodUnary | DescMethodServerStreaming;

/** What became of a call that was tried. */
export type Tried =
  | { readonly answer: Answer }
  | { readonly error: unknown; readonly isDone: "yes" | "no" | "unknown" };

const connectMs = 1_000;

/** Has another scheduler, which leads, answer a call. Of a stream of answers the first has come when it resolves. Never rejects. */
export async function callLeader(
  { name, transport, over }: OtherLeader,
  method: Passable,
  request: Message,
  context: HandlerContext,
  instance: string,
): Promise<Tried> {
  const { timeoutMs, headers }: CallOptions = onward(context);
  const { signal, release } = joinSignals(over, context.signal);
  let isOpen = false;
  try {
    const problem = await connect(transport, signal);
    if (problem !== undefined) {
      const message = `${name} leads and cannot be reached from here: ${problem}`;
      return { error: new ConnectError(message, Code.Unavailable), isDone: "no" };
    }
    const header = new Headers(headers);
    header.set(passedOnHeader, instance);
    if (method.methodKind === "unary") {
      const answer = await transport.unary(method, signal, timeoutMs, header, request);
      return { answer: answer.message };
    }
    const stream = await transport.stream(method, signal, timeoutMs, header, only(request));
    const messages = await begun(stream.message);
    isOpen = true;
    return { answer: streamOfThere(messages, over, release) };
  } catch (error) {
    return ofThere(ConnectError.from(error), over.aborted);
  } finally {
    if (!isOpen) release();
  }
}

async function* only(message: Message): AsyncGenerator<Message> {
  yield message;
}

/** A stream of another scheduler; what it ends with is as the caller of this one may see it. */
async function* streamOfThere(
  messages: AsyncIterable<Message>,
  over: AbortSignal,
  release: () => void,
): AsyncGenerator<Message> {
  try {
    yield* messages;
  } catch (error) {
    const tried = ofThere(ConnectError.from(error), over.aborted);
    throw "error" in tried && tried.isDone !== "unknown" ? tried.error : brokenOff(error);
  } finally {
    release();
  }
}

function brokenOff(error: unknown): ConnectError {
  const { rawMessage } = ConnectError.from(error);
  return new ConnectError(
    `the scheduler that leads went away in the middle of its answers (${rawMessage}): call again`,
    Code.Unavailable,
    undefined,
    undefined,
    error,
  );
}

/** Why there is no connection; undefined when there is one. */
async function connect(transport: RpcTransport, signal: AbortSignal): Promise<string | undefined> {
  try {
    await transport.waitForReady(connectMs, signal);
    return undefined;
  } catch (error) {
    return ConnectError.from(error).rawMessage;
  }
}

/** The error of a call that was passed on, as the caller of the first scheduler may see it. */
function ofThere(error: ConnectError, isOver: boolean): Tried {
  const [marked] = error.findDetails(PassedOnErrorSchema);
  const relayed = new ConnectError(error.rawMessage, error.code, undefined, undefined, error);
  relayed.details = error.details.filter(
    (detail) => !("type" in detail) || detail.type !== PassedOnErrorSchema.typeName,
  );
  if (marked !== undefined) return { error: relayed, isDone: marked.notDone ? "no" : "yes" };
  const isLost = isOver || error.code === Code.Unavailable;
  return { error: relayed, isDone: isLost ? "unknown" : "yes" };
}
