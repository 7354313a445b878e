import { parseListenAddress } from "@howdah/rpc/listen-address";
import { z } from "zod";
import { parseDuration } from "./duration.js";

// The kinds of settings. Each is a zod schema of a string, as environment variables are; without a default the setting
// is required. Messages say what is wrong with the value and how to write it; `readConfig` puts the variable in front.

/** "HOST:PORT"; port 0 where something listens means any free one. */
export function address(fallback?: string) {
  return text(fallback).superRefine((value, context) => {
    checkAddress(value, context);
  });
}

/** "HOST:PORT", or several with commas between them, as `createRpcTransport` takes them. */
export function addresses(fallback?: string) {
  return text(fallback).superRefine((value, context) => {
    for (const one of value.split(",")) checkAddress(one.trim(), context);
  });
}

/** A duration such as "30s", in milliseconds; units ms, s, m, h, d. */
export function duration(fallback?: string) {
  return text(fallback).transform((value, context) => {
    const ms = parseDuration(value);
    if (ms !== undefined) return ms;
    context.addIssue(`"${value}" is no duration; write it as 250ms, 30s, 5m, 2h or 7d`);
    return z.NEVER;
  });
}

/** A whole number within bounds. Default bounds: 0 and the largest safe one. */
export function integer(fallback?: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) {
  return text(fallback?.toString()).transform((value, context) => {
    const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    context.addIssue(`"${value}" is no whole number from ${min} to ${max}`);
    return z.NEVER;
  });
}

/** "true" or "false". */
export function flag(fallback?: boolean) {
  return oneOf(["true", "false"], fallback?.toString()).transform((value) => value === "true");
}

/** One of the given words. */
export function oneOf<const T extends string>(words: readonly T[], fallback?: string) {
  return text(fallback).transform((value, context) => {
    const word = words.find((one) => one === value);
    if (word !== undefined) return word;
    context.addIssue(`"${value}" is none of ${words.join(", ")}`);
    return z.NEVER;
  });
}

/** Any text but the empty one. */
export function text(fallback?: string) {
  const any = z.string("is not set, and has no default");
  return fallback === undefined ? any.pipe(z.string()) : any.default(fallback).pipe(z.string());
}

/** Any text, or undefined where the variable is not set. */
export function optionalText() {
  return z.string().optional();
}

function checkAddress(value: string, context: z.RefinementCtx<string>): void {
  try {
    parseListenAddress(value, "");
  } catch (error) {
    // The variable's name is put in front by readConfig.
    context.addIssue((error as Error).message.replace(/^: /, ""));
  }
}
