import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  Concurrency,
  ExecutionType,
  Guarantee,
  OfflinePolicy,
  OnExceeded,
  OnFailure,
  type RequestOptions,
  RequestOptionsSchema,
  RetryCause,
  type RetryPolicy,
  RetryPolicySchema,
  type Rolling,
  RollingSchema,
} from "@howdah/proto/howdah/v1/operation";
import { type CliError, wrongUsage } from "./cli-error.js";
import { badValue, readAmount, readCount, readDuration, readShare } from "./flag-values.js";

// The values of options by the words that a command line has for them.
export const onFailures = {
  abort: OnFailure.ABORT,
  hold: OnFailure.HOLD,
  skip: OnFailure.SKIP,
  continue: OnFailure.CONTINUE,
};
export const guarantees = {
  "at-most-once": Guarantee.AT_MOST_ONCE,
  once: Guarantee.ONCE_WITH_JOURNAL,
  "at-least-once": Guarantee.AT_LEAST_ONCE,
};
export const offlinePolicies = {
  skip: OfflinePolicy.SKIP,
  wait: OfflinePolicy.WAIT,
  refuse: OfflinePolicy.REFUSE,
};
export const onExceededs = { pause: OnExceeded.PAUSE, abort: OnExceeded.ABORT };
export const retryCauses = {
  failed: RetryCause.FAILED,
  timeout: RetryCause.TIMED_OUT,
  interrupted: RetryCause.INTERRUPTED,
};

/** What a command line says about how a request runs, as it was written. */
export interface RequestFlags {
  onFailure?: keyof typeof onFailures | undefined;
  successFactor?: string[] | undefined;
  retries?: string | undefined;
  retryBackoff?: string | undefined;
  retryOn?: string[] | undefined;
  guarantee?: keyof typeof guarantees | undefined;
  batch?: string | undefined;
  canary?: string | undefined;
  pause?: string | undefined;
  maxFailures?: string | undefined;
  maxBatchFailures?: string | undefined;
  onExceeded?: keyof typeof onExceededs | undefined;
  maxInFlight?: string | undefined;
  dependencyOrdered?: true | undefined;
  parallel?: true | undefined;
  exclusive?: true | undefined;
  offline?: keyof typeof offlinePolicies | undefined;
  offlineExpiry?: string | undefined;
  window?: string | undefined;
  confirm?: string | undefined;
  timeout?: Duration | undefined;
}

const mostAttempts = 100;
const mostTasks = 1_000_000;

/**
 * How a request runs, from the options of the command line. Throws CliError, for wrong usage, for a value that makes no sense
 * and for options that contradict each other or say nothing without another.
 */
export function requestOptions(flags: RequestFlags): RequestOptions {
  const { onFailure, guarantee, offline, offlineExpiry, maxInFlight, timeout } = flags;
  if (flags.parallel && flags.exclusive) {
    throw wrongUsage("--parallel and --exclusive contradict each other; give one of them");
  }
  const options = create(RequestOptionsSchema, {
    onFailure: onFailure === undefined ? OnFailure.UNSPECIFIED : onFailures[onFailure],
    guarantee: guarantee === undefined ? Guarantee.UNSPECIFIED : guarantees[guarantee],
    offlinePolicy: offline === undefined ? OfflinePolicy.UNSPECIFIED : offlinePolicies[offline],
    successFactors: successFactorsOf(flags.successFactor ?? []),
  });
  if (flags.dependencyOrdered) options.executionType = ExecutionType.DEPENDENCY_ORDERED;
  if (flags.parallel) options.concurrency = Concurrency.PARALLEL;
  if (flags.exclusive) options.concurrency = Concurrency.EXCLUSIVE;
  if (maxInFlight !== undefined) {
    options.maxInFlight = readCount("--max-in-flight", maxInFlight, 1, mostTasks);
  }
  if (timeout !== undefined) options.timeout = timeout;
  if (flags.window !== undefined) options.window = flags.window;
  if (flags.confirm !== undefined) options.confirm = flags.confirm;
  if (offlineExpiry !== undefined) {
    if (offline !== "wait") throw needs("--offline-expiry", "--offline wait");
    options.offlineExpiry = readDuration("--offline-expiry", offlineExpiry);
  }
  const retry = retryOf(flags);
  if (retry !== undefined) options.retry = retry;
  const rolling = rollingOf(flags);
  if (rolling !== undefined) options.rolling = rolling;
  return options;
}

function retryOf(flags: RequestFlags): RetryPolicy | undefined {
  const { retryBackoff, retryOn } = flags;
  const retries =
    flags.retries === undefined ? 0 : readCount("--retries", flags.retries, 0, mostAttempts - 1);
  if (retries === 0) {
    if (retryBackoff !== undefined) throw needs("--retry-backoff", "--retries, from 1");
    if (retryOn !== undefined) throw needs("--retry-on", "--retries, from 1");
    return undefined;
  }
  const causes = (retryOn ?? []).map((name) => {
    if (Object.hasOwn(retryCauses, name)) return retryCauses[name as keyof typeof retryCauses];
    throw badValue("--retry-on", name, `is none of ${Object.keys(retryCauses).join(", ")}`);
  });
  if (causes.includes(RetryCause.INTERRUPTED) && flags.guarantee === "at-most-once") {
    throw wrongUsage(
      "--retry-on interrupted and --guarantee at-most-once contradict each other: what was interrupted may have run",
    );
  }
  const policy = create(RetryPolicySchema, { maxAttempts: retries + 1, causes });
  if (retryBackoff !== undefined) policy.backoff = readDuration("--retry-backoff", retryBackoff);
  return policy;
}

function rollingOf(flags: RequestFlags): Rolling | undefined {
  const { batch, canary, pause, maxFailures, maxBatchFailures, onExceeded } = flags;
  const inBatches = batch !== undefined || canary !== undefined;
  if (pause !== undefined && !inBatches) throw needs("--pause", "--batch or --canary");
  if (maxBatchFailures !== undefined && !inBatches) {
    throw needs("--max-batch-failures", "--batch or --canary");
  }
  const hasBudget = maxFailures !== undefined || maxBatchFailures !== undefined;
  if (onExceeded !== undefined && !hasBudget) {
    throw needs("--on-exceeded", "--max-failures or --max-batch-failures");
  }
  if (!inBatches && !hasBudget) return undefined;
  if (flags.dependencyOrdered) {
    throw wrongUsage(
      `--dependency-ordered and ${inBatches ? "batches" : "failure budgets"} contradict each other: those go with stages`,
    );
  }

  const rolling = create(RollingSchema);
  if (batch !== undefined) {
    const { count, percent } = readAmount("--batch", batch, 1);
    rolling.batch = percent
      ? { case: "batchPercent", value: count }
      : { case: "batchSize", value: count };
  }
  if (canary !== undefined) rolling.canary = readCount("--canary", canary, 1, mostTasks);
  if (pause !== undefined) rolling.pause = readDuration("--pause", pause);
  if (maxFailures !== undefined) {
    const { count, percent } = readAmount("--max-failures", maxFailures, 0);
    if (percent) rolling.maxFailurePercent = count;
    else rolling.maxFailures = count;
  }
  if (maxBatchFailures !== undefined) {
    const budget = readCount("--max-batch-failures", maxBatchFailures, 0, mostTasks);
    rolling.maxBatchFailures = budget;
  }
  if (onExceeded !== undefined) rolling.onExceeded = onExceededs[onExceeded];
  return rolling;
}

function successFactorsOf(texts: readonly string[]): Record<string, number> {
  const factors: Record<string, number> = {};
  for (const text of texts) {
    const [, role = "", share = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (role === "") throw badValue("--success-factor", text, "will not do; write it as ROLE=0.8");
    if (Object.hasOwn(factors, role)) {
      throw badValue("--success-factor", text, `is the second for ${role}; give one`);
    }
    factors[role] = readShare("--success-factor", share);
  }
  return factors;
}

function needs(option: string, other: string): CliError {
  return wrongUsage(`${option} says nothing without ${other}`);
}
