import { type AlertDefinition, AlertSourceType, AlertState } from "@howdah/proto/howdah/v1/alert";
import {
  type Alert,
  type AlertChange,
  type AlertCount,
  AlertFirmness,
} from "@howdah/proto/howdah/v1/alert_service";
import { renderTable } from "./table.js";
import { cut, localTime, plural, spokenMs } from "./words.js";

/** Longer texts are for `--output json`. */
const textWidth = 120;
/** The states of alerts, what is worst first. */
export const alertStates = [
  AlertState.CRITICAL,
  AlertState.WARNING,
  AlertState.UNKNOWN,
  AlertState.OK,
] as const;

/** The name of a state, as the protos have it: "CRITICAL". */
export function alertWord(state: AlertState): string {
  return AlertState[state] ?? String(state);
}

/** "3 CRITICAL, 2 WARNING, 94 OK; in maintenance: 1 CRITICAL": what is worst first. */
export function countsLine(counts: readonly AlertCount[]): string {
  const words = (of: (count: AlertCount) => bigint) =>
    alertStates
      .map(
        (state) => [state, counts.filter((one) => one.state === state).map(of)[0] ?? 0n] as const,
      )
      .filter(([, count]) => count > 0n)
      .map(([state, count]) => `${count} ${alertWord(state)}`)
      .join(", ");
  const usual = words(({ count }) => count);
  const maintained = words(({ inMaintenance }) => inMaintenance);
  if (usual === "" && maintained === "") return "no alerts\n";
  return [usual || "none", ...(maintained === "" ? [] : [`in maintenance: ${maintained}`])]
    .join("; ")
    .concat("\n");
}

/** A table of alerts. SOFT: found fewer times in a row than its tolerance, so it may pass. */
export function alertTable(alerts: readonly Alert[]): string {
  const rows = alerts.map((alert) => [
    alertWord(alert.state) + (alert.firmness === AlertFirmness.SOFT ? " (soft)" : ""),
    alert.name,
    alert.hostName,
    localTime(alert.since),
    notesOf(alert).join("; "),
    cut(alert.text, textWidth),
  ]);
  return renderTable(["STATE", "ALERT", "HOST", "SINCE", "NOTE", "TEXT"], rows);
}

function notesOf({ stale, maintenance }: Alert): string[] {
  const notes = stale ? ["stale"] : [];
  if (maintenance === undefined) return notes;
  const { reason } = maintenance;
  return [...notes, reason === "" ? "maintenance" : `maintenance: ${reason}`];
}

/** A table of changes of alerts' states. */
export function historyTable(changes: readonly AlertChange[]): string {
  if (changes.length === 0) return "nothing has changed\n";
  const rows = changes.map((change) => [
    localTime(change.changedAt),
    alertWord(change.state),
    change.name,
    change.hostName,
    cut(change.text, textWidth),
  ]);
  return renderTable(["WHEN", "STATE", "ALERT", "HOST", "TEXT"], rows);
}

/** A table of definitions. */
export function definitionTable(definitions: readonly AlertDefinition[]): string {
  if (definitions.length === 0) return "no alert definitions\n";
  const rows = definitions.map((one) => [
    one.name,
    one.serviceName,
    one.componentName,
    AlertSourceType[one.sourceType] ?? String(one.sourceType),
    spokenMs(one.intervalMinutes * 60_000),
    one.enabled ? "on" : "off",
    one.repeatTolerance === undefined ? "" : String(one.repeatTolerance),
    one.label,
  ]);
  const head = ["ALERT", "SERVICE", "COMPONENT", "TYPE", "EVERY", "", "TOLERANCE", "LABEL"];
  return renderTable(head, rows);
}

/** "alert X is on, checked every 5 min, HARD after 3 checks in a row". */
export function definitionPhrase(definition: AlertDefinition): string {
  const { name, enabled, intervalMinutes, repeatTolerance: tolerance } = definition;
  if (!enabled) return `alert ${name} is off`;
  const hard =
    tolerance === undefined
      ? "HARD by the cluster's alerts_repeat_tolerance"
      : `HARD after ${plural(tolerance, "check")} in a row`;
  return `alert ${name} is on, checked every ${spokenMs(intervalMinutes * 60_000)}, ${hard}`;
}
