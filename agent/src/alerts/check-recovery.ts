import type { JsonObject } from "../json.js";
import { type Found, reportingNumber } from "./host-alert.js";

/** How often the agent has started a component by itself. */
export interface RecoveryCounts {
  /** Since when it is counted, by the wall clock in milliseconds since 1970; undefined when there was nothing to count. */
  readonly since: number | undefined;
  /** In the window of now. */
  readonly count: number;
  /** It will not be tried any more. */
  readonly atLimit: boolean;
}

/** The counts of a component; undefined when it is not recovered. */
export type RecoverySource = (
  clusterId: bigint,
  componentName: string,
) => RecoveryCounts | undefined;

const defaultWarning = 2;
const defaultCritical = 4;
const okText = "{2} has not been started by the agent{0}";
const startedOnceText = "{2} has been started by the agent once{0}";
const startedText = "{2} has been started by the agent {1} times{0}";

/** Compares how often a component was started by itself with the thresholds. */
export function checkRecovery(
  source: JsonObject,
  componentName: string,
  counts: RecoveryCounts = { since: undefined, count: 0, atLimit: false },
): Found {
  const { since, count, atLimit } = counts;
  const sinceText = since === undefined ? "" : ` since ${timeText(since)}`;
  const args = [sinceText, count, componentName];
  const warning = reportingNumber(source, "warning", "count") ?? defaultWarning;
  const critical = reportingNumber(source, "critical", "count") ?? defaultCritical;
  const template = count === 0 && !atLimit ? okText : count === 1 ? startedOnceText : startedText;
  if (atLimit || count >= critical) return { state: "CRITICAL", args, template };
  if (count >= warning) return { state: "WARNING", args, template };
  return { state: "OK", args, template };
}

/** UTC, to the second. */
function timeText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}
