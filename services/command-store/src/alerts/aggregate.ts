import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { formatMessage, PatternError } from "./message-format.js";

/** How many alerts of a definition count as what: those in maintenance, and those that are not sure yet, count as OK. */
export interface ChildCounts {
  readonly ok: number;
  readonly warning: number;
  readonly critical: number;
  readonly unknown: number;
}

/** `reporting` of a definition's source, as far as it is what it should be. */
export interface Reporting {
  readonly ok?: ReportingPart;
  readonly warning?: ReportingPart;
  readonly critical?: ReportingPart;
  readonly type?: unknown;
}

interface ReportingPart {
  readonly text?: unknown;
  readonly value?: unknown;
}

/**
 * What an AGGREGATE finds [S 9.5]: UNKNOWN without alerts or with one that is; else the share of those that are WARNING or CRITICAL (in
 * per cent when its type is PERCENT) against its thresholds. Texts are filled with the number of alerts, the number of those, and the share.
 */
export function aggregate(
  childName: string,
  { ok, warning, critical, unknown }: ChildCounts,
  reporting: Reporting,
): { state: AlertState; text: string } {
  const total = ok + warning + critical + unknown;
  if (total === 0) {
    return { state: AlertState.UNKNOWN, text: `There are no alerts of ${childName}` };
  }
  if (unknown > 0) {
    const text = `${unknown} of ${total} alerts of ${childName} are UNKNOWN`;
    return { state: AlertState.UNKNOWN, text };
  }
  const affected = warning + critical;
  const share = affected / total;
  const value = reporting.type === "PERCENT" ? share * 100 : share;
  const state = stateOf(value, reporting);
  const part = { [AlertState.CRITICAL]: "critical", [AlertState.WARNING]: "warning" } as const;
  const pattern = reporting[part[state as keyof typeof part] ?? "ok"]?.text;
  const otherwise = `affected: [${affected}], total: [${total}]`;
  if (typeof pattern !== "string" || pattern === "") return { state, text: otherwise };
  try {
    return { state, text: formatMessage(pattern, [total, affected, value]) };
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return { state, text: `${otherwise} (its text cannot be filled: ${error.message})` };
  }
}

function stateOf(value: number, { warning, critical }: Reporting): AlertState {
  if (value >= threshold(critical)) return AlertState.CRITICAL;
  if (value >= threshold(warning)) return AlertState.WARNING;
  return AlertState.OK;
}

function threshold(part: ReportingPart | undefined): number {
  return typeof part?.value === "number" ? part.value : Number.POSITIVE_INFINITY;
}
