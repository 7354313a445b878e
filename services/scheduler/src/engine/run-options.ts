import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  Concurrency,
  ExecutionType,
  Guarantee,
  OfflinePolicy,
  type RequestOptions,
  RequestOptionsSchema,
} from "@howdah/proto/howdah/v1/operation";
import { hasBudget, onFailureOf } from "@howdah/state/failure-budget";
import { retryPolicyOf, type Verb } from "@howdah/state/retry-policy";
import type { Backoff, RunOptions } from "./run-contents.js";

const usualFirstMs = 1_000;
const usualLongestMs = 300_000;

/** What a request's options mean to the scheduler. */
export function runOptions(options: RequestOptions = create(RequestOptionsSchema)): RunOptions {
  const { rolling, executionType, concurrency, maxInFlight, window } = options;
  const { offlinePolicy, offlineExpiry } = options;
  return {
    onFailure: onFailureOf(options),
    dependencyOrdered: executionType === ExecutionType.DEPENDENCY_ORDERED,
    batchPauseMs: rolling?.pause === undefined ? 0 : durationMs(rolling.pause),
    hasBudget: hasBudget(rolling),
    concurrency: concurrency || Concurrency.IN_ORDER,
    maxInFlight,
    waitsForHosts: offlinePolicy === OfflinePolicy.WAIT,
    ...(offlineExpiry && { offlineExpiryMs: durationMs(offlineExpiry) }),
    window,
  };
}

/** The pause before a further attempt of a role's tasks; undefined when nothing in the options makes one by itself. */
export function backoffOf(
  options: RequestOptions = create(RequestOptionsSchema),
  verb: Verb,
): Backoff | undefined {
  const policy = retryPolicyOf(options, verb);
  const retries = (policy?.maxAttempts ?? 0) > 1;
  if (!retries && options.guarantee !== Guarantee.AT_LEAST_ONCE) return undefined;
  const firstMs = policy?.backoff === undefined ? usualFirstMs : durationMs(policy.backoff);
  const longestMs =
    policy?.maxBackoff === undefined ? usualLongestMs : durationMs(policy.maxBackoff);
  return { firstMs, longestMs: Math.max(firstMs, longestMs) };
}
