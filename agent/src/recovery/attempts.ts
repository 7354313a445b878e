import type { RecoverySettings } from "./recovery-settings.js";

/** How often a component was recovered. Times are of a clock that only goes forward. */
export interface Attempts {
  /** Since `resetMs`. */
  readonly count: number;
  /** Since the agent started. */
  readonly lifetime: number;
  readonly lastMs: number;
  readonly resetMs: number;
}

/** Why a component is not recovered now. */
export type Refusal = "interval" | "window" | "lifetime";

/**
 * Another attempt, as Ambari's agent allows it: the interval must have passed since the last one, and when the window has had its most,
 * the window since it began. A window without an attempt begins anew. Pure.
 * @param was undefined before the first
 */
export function anotherAttempt(
  was: Attempts | undefined,
  { maxCount, windowMs, retryIntervalMs, lifetimeMaxCount }: RecoverySettings,
  nowMs: number,
): Attempts | Refusal {
  if (was === undefined) return { count: 1, lifetime: 1, lastMs: nowMs, resetMs: nowMs };
  if (was.lifetime >= lifetimeMaxCount) return "lifetime";
  const next = { lifetime: was.lifetime + 1, lastMs: nowMs };
  const sinceLastMs = nowMs - was.lastMs;
  if (sinceLastMs > windowMs) return { ...next, count: 1, resetMs: nowMs };
  if (was.count < maxCount) {
    if (sinceLastMs <= retryIntervalMs) return "interval";
    return { ...next, count: was.count + 1, resetMs: was.resetMs };
  }
  if (nowMs - was.resetMs <= windowMs) return "window";
  return { ...next, count: 1, resetMs: nowMs };
}
