import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  Code,
  ConnectError,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { PassedOnErrorSchema } from "@howdah/proto/howdah/v1/pass_on";
import { onward } from "@howdah/rpc/call-id";
import { isIdempotent } from "@howdah/rpc/idempotent";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { RpcTransport } from "@howdah/rpc/transport";
import { begun } from "./begun.js";
import type { LeaderWatch, OtherLeader } from "./leader-watch.js";
import { NotLeadingError } from "./not-leading.js";

/** The header of a call that another scheduler has passed on: it is answered or refused here, and goes no further. */
export const passedOnHeader = "x-passed-on-by";

type Message = MessageShape<DescMessage>;
/** What a method answers: one message, or several. */
type Answer = Message | AsyncIterable<Message>;
type Handle = (request: Message, context: HandlerContext) => Answer | Promise<Answer>;

/** How calls are passed on. */
export interface PassOnOptions<S extends DescService> {
  readonly watch: LeaderWatch;
  /** The name of this scheduler. */
  readonly instance: string;
  /** How long a call waits while no scheduler leads, in milliseconds. */
  readonly waitMs: number;
  /** Aborts when this scheduler stops: nobody waits any more. */
  readonly signal: AbortSignal;
  /** Methods that each scheduler answers itself. Default none. */
  readonly anywhere?: readonly (keyof S["method"])[];
  /**
   * Methods that may be repeated once this was done to their request, besides those that are idempotent by their proto. Default none.
   */
  readonly repeatable?: {
    readonly [M in keyof S["method"]]?: (
      request: MessageShape<S["method"][M]["input"]>,
    ) => MessageShape<S["method"][M]["input"]>;
  };
}

/** What became of a call that was tried. */
type Tried =
  | { readonly answer: Answer }
  | { readonly error: unknown; readonly isDone: "yes" | "no" | "unknown" };

const connectMs = 1_000;
const pauseMs = 200;

/**
 * Has a service answered by the scheduler that leads, whichever is asked. Here while it leads here; else the call is passed on once, with
 * its deadline, cancel and call id, and its answer or error comes back as it is. While nobody leads it waits, at most `waitMs`, then fails
 * with UNAVAILABLE.
 *
 * When the leader goes away in the middle, a call is made again with the next one if it is idempotent or surely was not begun. Any other
 * fails with UNAVAILABLE and says that its outcome is not known. What can be made again is also made once more when the leader itself says
 * UNAVAILABLE: the command store that it asked may have died, and another be there.
 *
 * A stream of answers counts as answered with its first message: what comes after that is not made again, and its end is what the caller
 * sees. Throws for a service with streams of requests, which nobody has needed.
 */
export function passOn<S extends DescService>(
  service: S,
  impl: Partial<ServiceImpl<S>>,
  options: PassOnOptions<S>,
): Partial<ServiceImpl<S>> {
  const anywhere = new Set<PropertyKey>(options.anywhere);
  const handlers = impl as Readonly<Record<string, Handle | undefined>>;
  const passing: Record<string, Handle> = {};
  for (const method of service.methods) {
    const handle = handlers[method.localName];
    if (handle === undefined) continue;
    if (!isPassable(method)) {
      throw new Error(`${method.toString()}: streams of requests cannot be passed on`);
    }
    passing[method.localName] = anywhere.has(method.localName)
      ? handle
      : passMethodOn(method, handle, options as PassOnOptions<DescService>);
  }
  // A method's types are only known for generated services. Hence the casts.
  return passing as unknown as Partial<ServiceImpl<S>>;
}

type Passable = DescMethodUnary | DescMethodServerStreaming;

function isPassable(method: DescMethod): method is Passable {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}

function passMethodOn(
  method: Passable,
  handle: Handle,
  options: PassOnOptions<DescService>,
): Handle {
  if (method.methodKind === "unary") return passCallOn(method, handle, options);
  const pass = passCallOn(
    method,
    async (request, context) => begun((await handle(request, context)) as AsyncIterable<Message>),
    options,
  );
  return (request, context) => flatten(pass(request, context));
}

async function* flatten(answer: Answer | Promise<Answer>): AsyncGenerator<Message> {
  yield* (await answer) as AsyncIterable<Message>;
}

function passCallOn(
  method: Passable,
  handle: Handle,
  { watch, instance, waitMs, signal: stopping, repeatable = {} }: PassOnOptions<DescService>,
): Handle {
  // Of any service: each takes its own messages, which is what this method gets.
  const prepare = repeatable[method.localName] as ((request: Message) => Message) | undefined;
  const isRepeatable = prepare !== undefined || isIdempotent(method);

  return async (asked, context) => {
    if (context.requestHeader.has(passedOnHeader)) {
      return answerPassedOn(watch, handle, asked, context);
    }
    const request = prepare?.(asked) ?? asked;
    const until = performance.now() + waitMs;
    let problem = "none has the lease";
    let mayBeDone = false;
    let isRepeated = false;
    for (;;) {
      const { leader } = watch;
      if (leader !== undefined) {
        const tried =
          leader === "here"
            ? await tryHere(handle, request, context)
            : await tryThere(leader, method, request, context, instance);
        if ("answer" in tried) return tried.answer;
        const { error, isDone } = tried;
        if (context.signal.aborted) throw error;
        if (isDone === "yes") {
          // A command store that went away in the middle: there may be another.
          const isWorthAnother = isRepeatable && isUnavailable(error) && !isRepeated;
          if (!isWorthAnother) throw error;
          isRepeated = true;
          continue;
        }
        if (isDone === "unknown" && !isRepeatable) throw unknownOutcome(method, error);
        problem = ConnectError.from(error).rawMessage;
        mayBeDone ||= isDone === "unknown";
      }
      const leftMs = until - performance.now();
      if (leftMs <= 0 || stopping.aborted) {
        const why = stopping.aborted ? "this scheduler is stopping" : `waited ${waitMs / 1000} s`;
        throw nobodyLeads(why, problem, mayBeDone);
      }
      // Until somebody else leads; and now and then, since the one that leads may have been reached too early, or by a bad connection.
      await watch.change(Math.min(leftMs, pauseMs), context.signal);
      context.signal.throwIfAborted();
    }
  };
}

/** Answers here or nowhere, and marks errors as this scheduler's own, unless it is not known what became of the call. */
async function answerPassedOn(
  { leader }: LeaderWatch,
  handle: Handle,
  request: Message,
  context: HandlerContext,
): Promise<Answer> {
  const tried: Tried =
    leader === "here"
      ? await tryHere(handle, request, context)
      : { error: new NotLeadingError("it does not lead", "no"), isDone: "no" };
  if ("answer" in tried) return tried.answer;
  const { error, isDone } = tried;
  if (isDone === "unknown" || !(error instanceof ConnectError)) throw error;
  error.details.push({ desc: PassedOnErrorSchema, value: { notDone: isDone === "no" } });
  throw error;
}

async function tryHere(handle: Handle, request: Message, context: HandlerContext): Promise<Tried> {
  try {
    return { answer: await handle(request, context) };
  } catch (error) {
    return { error, isDone: error instanceof NotLeadingError ? error.isDone : "yes" };
  }
}

async function tryThere(
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

function isUnavailable(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unavailable;
}

function nobodyLeads(why: string, problem: string, mayBeDone: boolean): ConnectError {
  const wayOut = mayBeDone
    ? "it may have been done: look, and call again if it was not"
    : 'see that a scheduler runs and reaches the command store (its log says "leading"), then call again';
  const text = `no scheduler answers as the one that leads, ${why} (${problem}); ${wayOut}`;
  return new ConnectError(text, Code.Unavailable);
}

function unknownOutcome({ name }: Passable, error: unknown): ConnectError {
  const { rawMessage } = ConnectError.from(error);
  return new ConnectError(
    `the scheduler that leads went away in the middle of ${name} (${rawMessage}): whether it was done is not known; look, then call again if it was not`,
    Code.Unavailable,
    undefined,
    undefined,
    error,
  );
}
