import type { DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { PassedOnErrorSchema } from "@howdah/proto/howdah/v1/pass_on";
import { isIdempotent } from "@howdah/rpc/idempotent";
import { begun } from "./begun.js";
import {
  type Answer,
  callLeader,
  type Message,
  type Passable,
  passedOnHeader,
  type Tried,
} from "./call-leader.js";
import type { LeaderWatch } from "./leader-watch.js";
import { NotLeadingError } from "./not-leading.js";

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
            : await callLeader(leader, method, request, context, instance);
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
