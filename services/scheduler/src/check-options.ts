import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  Concurrency,
  ExecutionType,
  Guarantee,
  OfflinePolicy,
  OnExceeded,
  OnFailure,
  type RequestOptions,
  RetryCause,
  type RetryPolicy,
  type Rolling,
} from "@howdah/proto/howdah/v1/operation";
import { hasBudget } from "@howdah/state/failure-budget";
import { invalidArgument } from "./invalid-argument.js";

const maxTimeoutSeconds = 2_592_000n;
const maxPauseSeconds = 604_800n;
const maxAttempts = 100;

/** Checks how a request is to run. Throws INVALID_ARGUMENT. */
export function checkOptions(options: RequestOptions): void {
  for (const [role, factor] of Object.entries(options.successFactors)) {
    if (!(factor >= 0 && factor <= 1)) {
      throw invalidArgument(`options.success_factors.${role}`, `${factor} is not between 0 and 1`);
    }
  }
  checkTimeout("options.timeout", options.timeout);
  checkNamed("options.on_failure", OnFailure, options.onFailure);
  checkNamed("options.guarantee", Guarantee, options.guarantee);
  checkNamed("options.execution_type", ExecutionType, options.executionType);
  checkNamed("options.offline_policy", OfflinePolicy, options.offlinePolicy);
  checkNamed("options.concurrency", Concurrency, options.concurrency);
  if (options.retry !== undefined) checkRetry("options.retry", options.retry, options.guarantee);
  for (const [role, policy] of Object.entries(options.roleRetries)) {
    if (role === "") throw invalidArgument("options.role_retries", "has an empty role name");
    checkRetry(`options.role_retries.${role}`, policy, options.guarantee);
  }
  if (options.rolling !== undefined) checkRolling(options.rolling, options.executionType);
  checkConfirm(options);
  checkCount("options.max_in_flight", options.maxInFlight, "0 for no limit");
  checkOfflineExpiry(options);
}

function checkOfflineExpiry({ offlineExpiry, offlinePolicy }: RequestOptions): void {
  if (offlineExpiry === undefined) return;
  if (offlinePolicy !== OfflinePolicy.WAIT) {
    throw invalidArgument(
      "options.offline_expiry",
      "no host is waited for; give offline_policy WAIT too, or leave it out",
    );
  }
  checkTimeout("options.offline_expiry", offlineExpiry);
}

function checkConfirm({ confirm, executionType }: RequestOptions): void {
  if (confirm === "") return;
  if ([...confirm].length > 255 || confirm.trim() === "") {
    throw invalidArgument("options.confirm", "must be 1 to 255 characters that say something");
  }
  if (executionType === ExecutionType.DEPENDENCY_ORDERED) {
    throw invalidArgument(
      "options.confirm",
      "goes with stages; leave it out, or execution_type DEPENDENCY_ORDERED",
    );
  }
}

function checkRetry(field: string, policy: RetryPolicy, guarantee: Guarantee): void {
  const { maxAttempts: attempts, backoff, maxBackoff, causes } = policy;
  if (attempts < 0 || attempts > maxAttempts) {
    throw invalidArgument(
      `${field}.max_attempts`,
      `${attempts} will not do; give 1 to ${maxAttempts}`,
    );
  }
  checkPause(`${field}.backoff`, backoff);
  checkPause(`${field}.max_backoff`, maxBackoff);
  if (backoff !== undefined && maxBackoff !== undefined) {
    const [first, longest] = [durationMs(backoff), durationMs(maxBackoff)];
    if (first > longest) {
      throw invalidArgument(
        `${field}.max_backoff`,
        `${longest} ms is less than the first pause of ${first} ms; raise it or lower backoff`,
      );
    }
  }
  for (const cause of causes) {
    checkNamed(`${field}.causes`, RetryCause, cause);
    if (cause === RetryCause.UNSPECIFIED) {
      throw invalidArgument(`${field}.causes`, "UNSPECIFIED is no cause; name one, or none at all");
    }
    if (cause === RetryCause.INTERRUPTED && guarantee === Guarantee.AT_MOST_ONCE) {
      throw invalidArgument(
        `${field}.causes`,
        "INTERRUPTED is never retried with the guarantee AT_MOST_ONCE; leave one of them out",
      );
    }
  }
}

function checkRolling(rolling: Rolling, executionType: ExecutionType): void {
  const { canary, batch, pause, maxFailures, maxFailurePercent, maxBatchFailures } = rolling;
  if (executionType === ExecutionType.DEPENDENCY_ORDERED) {
    throw invalidArgument(
      "options.rolling",
      "goes with stages; leave it out, or execution_type DEPENDENCY_ORDERED",
    );
  }
  checkCount("options.rolling.canary", canary, "0 for none");
  if (batch.case === "batchSize" && batch.value < 1) {
    throw invalidArgument("options.rolling.batch_size", `${batch.value} is less than 1`);
  }
  if (batch.case === "batchPercent") {
    checkPercent("options.rolling.batch_percent", batch.value, 1);
  }
  checkPause("options.rolling.pause", pause);
  if (maxFailures !== undefined)
    checkCount("options.rolling.max_failures", maxFailures, "0 for none");
  if (maxFailurePercent !== undefined) {
    checkPercent("options.rolling.max_failure_percent", maxFailurePercent, 0);
  }
  if (maxBatchFailures !== undefined) {
    checkCount("options.rolling.max_batch_failures", maxBatchFailures, "0 for none");
  }
  checkNamed("options.rolling.on_exceeded", OnExceeded, rolling.onExceeded);
  const isCut = canary > 0 || batch.case !== undefined;
  const isBudgeted: boolean = hasBudget(rolling);
  if (!isCut && !isBudgeted) {
    throw invalidArgument(
      "options.rolling",
      "says nothing; give canary, batch_size, batch_percent or a failure budget",
    );
  }
  if (!isCut && pause !== undefined) {
    throw invalidArgument(
      "options.rolling.pause",
      "there is one batch only; give canary, batch_size or batch_percent too",
    );
  }
  if (!isBudgeted && rolling.onExceeded !== OnExceeded.UNSPECIFIED) {
    throw invalidArgument(
      "options.rolling.on_exceeded",
      "there is no failure budget; give max_failures, max_failure_percent or max_batch_failures too",
    );
  }
}

function checkCount(field: string, count: number, none: string): void {
  if (count < 0) throw invalidArgument(field, `${count} is less than 0; give ${none}`);
}

function checkPercent(field: string, percent: number, least: number): void {
  if (percent >= least && percent <= 100) return;
  throw invalidArgument(field, `${percent} is not between ${least} and 100`);
}

/** Whole milliseconds, from 1 s to 30 days. */
export function checkTimeout(field: string, timeout: Duration | undefined): void {
  checkDuration(field, timeout, 1n, maxTimeoutSeconds);
}

/** Whole milliseconds, from 0 to 7 days. */
function checkPause(field: string, pause: Duration | undefined): void {
  checkDuration(field, pause, 0n, maxPauseSeconds);
}

/** Whole milliseconds, from so many seconds to so many; also no duration at all. */
export function checkDuration(
  field: string,
  duration: Duration | undefined,
  least: bigint,
  most: bigint,
): void {
  if (duration === undefined) return;
  const { seconds, nanos } = duration;
  if (seconds < least || seconds > most || nanos < 0 || nanos % 1_000_000 !== 0) {
    throw invalidArgument(
      field,
      `${inSeconds(duration)} will not do; give whole milliseconds from ${least}s to ${most}s`,
    );
  }
}

/** "90s", "0.25s", "-1s". */
function inSeconds({ seconds, nanos }: Duration): string {
  const sign = nanos < 0 && seconds === 0n ? "-" : "";
  const fraction = String(Math.abs(nanos)).padStart(9, "0").replace(/0+$/, "");
  return `${sign}${seconds}${fraction && `.${fraction}`}s`;
}

/** A value that the enum has. */
export function checkNamed(field: string, names: object, value: number): void {
  if (!(value in names)) throw invalidArgument(field, `${value} is not a known value`);
}
