import { randomBytes } from "node:crypto";
import { type CallOptions, createContextKey, type HandlerContext } from "@connectrpc/connect";

/** The header that carries a call's id from process to process. */
export const callIdHeader = "x-call-id";

/** The id under which all processes log what they did for one call of an operator or agent. */
export const callIdKey = createContextKey("", { description: "call id" });

const wellFormed = /^[\w.:-]{1,64}$/;

/** The caller's id if it sent one that is fit for a log line, else a new one. */
export function callIdOf(header: Pick<Headers, "get">): string {
  const given = header.get(callIdHeader);
  return given !== null && wellFormed.test(given) ? given : newCallId();
}

// Random per process and counted within it: random bytes for each call would cost as much as reading its headers.
const processPart = randomBytes(6).toString("hex");
let counter = 0;

/** A new id, such as "9f2c03d17ab4-1k". */
export function newCallId(): string {
  counter += 1;
  return `${processPart}-${counter.toString(36)}`;
}

/**
 * Options for a call made on behalf of the call being served: the same call id, cancelled together with it, within
 * what is left of its deadline.
 */
export function onward(context: HandlerContext): CallOptions {
  const timeoutMs = context.timeoutMs();
  return {
    signal: context.signal,
    headers: { [callIdHeader]: context.values.get(callIdKey) || newCallId() },
    // At least 1: Connect takes 0 and less for "no limit".
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, timeoutMs) }),
  };
}
