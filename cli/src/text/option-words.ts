import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import {
  Concurrency,
  ExecutionType,
  type RequestOptions,
  type RetryPolicy,
  type Rolling,
} from "@howdah/proto/howdah/v1/operation";
import {
  guarantees,
  offlinePolicies,
  onExceededs,
  onFailures,
  retryCauses,
} from "../request-options.js";

/** How a request runs, as a command line says it: "--on-failure hold --batch 10% --canary 1"; empty for the defaults. */
export function optionWords(options: RequestOptions): string {
  const { rolling, retry, maxInFlight } = options;
  const words = [
    ...flag("--timeout", options.timeout && durationWord(options.timeout)),
    ...flag("--on-failure", wordOf(onFailures, options.onFailure)),
    ...Object.entries(options.successFactors).flatMap(([role, share]) =>
      flag("--success-factor", `${role}=${share}`),
    ),
    ...(retry === undefined ? [] : retryWords(retry)),
    ...flag("--guarantee", wordOf(guarantees, options.guarantee)),
    ...(rolling === undefined ? [] : rollingWords(rolling)),
    ...flag("--max-in-flight", maxInFlight > 0 ? maxInFlight : undefined),
    ...(options.executionType === ExecutionType.DEPENDENCY_ORDERED ? ["--dependency-ordered"] : []),
    ...(options.concurrency === Concurrency.PARALLEL ? ["--parallel"] : []),
    ...(options.concurrency === Concurrency.EXCLUSIVE ? ["--exclusive"] : []),
    ...flag("--offline", wordOf(offlinePolicies, options.offlinePolicy)),
    ...flag("--offline-expiry", options.offlineExpiry && durationWord(options.offlineExpiry)),
    ...flag("--window", options.window || undefined),
    ...flag("--confirm", options.confirm ? `'${options.confirm}'` : undefined),
  ];
  const roles = Object.keys(options.roleRetries);
  // Only programs can say this.
  const others = roles.length > 0 ? [`and retries of their own for ${roles.join(", ")}`] : [];
  return [...words, ...others].join(" ");
}

function retryWords({ maxAttempts, backoff, causes }: RetryPolicy): string[] {
  const names = causes.flatMap((cause) => wordOf(retryCauses, cause) ?? []);
  return [
    ...flag("--retries", maxAttempts > 1 ? maxAttempts - 1 : undefined),
    ...flag("--retry-backoff", backoff && durationWord(backoff)),
    ...flag("--retry-on", names.length > 0 ? names.join(",") : undefined),
  ];
}

function rollingWords(rolling: Rolling): string[] {
  const { batch, canary, pause, maxFailures, maxFailurePercent, maxBatchFailures } = rolling;
  const percent = batch.case === "batchPercent" ? "%" : "";
  return [
    ...flag("--batch", batch.case === undefined ? undefined : `${batch.value}${percent}`),
    ...flag("--canary", canary > 0 ? canary : undefined),
    ...flag("--pause", pause && durationWord(pause)),
    ...flag("--max-failures", maxFailures),
    ...flag(
      "--max-failures",
      maxFailurePercent === undefined ? undefined : `${maxFailurePercent}%`,
    ),
    ...flag("--max-batch-failures", maxBatchFailures),
    ...flag("--on-exceeded", wordOf(onExceededs, rolling.onExceeded)),
  ];
}

function flag(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

function wordOf(words: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(words).find((word) => words[word] === value);
}

const units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** "90s", "5m": in the largest unit that leaves nothing over. */
function durationWord(duration: Duration): string {
  const ms = durationMs(duration);
  const [unit, size] = units.find(([, each]) => ms % each === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}
