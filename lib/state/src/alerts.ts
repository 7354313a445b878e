import { AlertState } from "@howdah/proto/howdah/v1/alert";
import { AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";

/** How an alert stands. */
export interface AlertStanding {
  readonly state: AlertState;
  readonly firmness: AlertFirmness;
  /** How often it was found in a row; of a state that is not OK, whichever. */
  readonly occurrences: number;
}

/** What is known of an alert when it is found out again. */
export interface AlertRules {
  /** After how many checks in a row a state that is not OK is HARD; at least 1. */
  readonly tolerance: number;
  /** True for one that counts others: those are sure already, so it is. */
  readonly aggregate: boolean;
}

/** What comes of finding an alert out. */
export interface AlertStep {
  /**
   * `drop`: nothing. `told`: it was told, and nothing else; its text is replaced unless the new one is blank. `same`: its state is what it
   * was. `changed`: it came into another state, or is new, and goes into the history.
   */
  readonly kind: "drop" | "told" | "same" | "changed";
  /** How it stands now; absent for `drop`. */
  readonly next?: AlertStanding;
  /** Whether its firm state may be another than before: what is found for the first time, or becomes HARD. */
  readonly firm: boolean;
}

const mostOccurrences = 2 ** 31 - 1;

/** The states that an alert can be in. */
const lasting: ReadonlySet<AlertState> = new Set([
  AlertState.OK,
  AlertState.WARNING,
  AlertState.CRITICAL,
  AlertState.UNKNOWN,
]);

/** What comes of finding an alert in a state. `was`: how it stood; undefined when it is found for the first time. */
export function nextAlert(
  was: AlertStanding | undefined,
  found: AlertState,
  { tolerance, aggregate }: AlertRules,
): AlertStep {
  if (found === AlertState.SKIPPED && was !== undefined) {
    return { kind: "told", next: was, firm: false };
  }
  if (!lasting.has(found)) return { kind: "drop", firm: false };
  if (was === undefined) {
    const next = { state: found, firmness: AlertFirmness.HARD, occurrences: 1 };
    return { kind: "changed", next, firm: true };
  }
  const again = Math.min(was.occurrences + 1, mostOccurrences);
  if (found === was.state) {
    const hardens = was.firmness !== AlertFirmness.HARD && again >= tolerance;
    const firmness = hardens ? AlertFirmness.HARD : was.firmness;
    return { kind: "same", next: { ...was, firmness, occurrences: again }, firm: hardens };
  }
  const isFirst = found === AlertState.OK || was.state === AlertState.OK;
  const occurrences = isFirst ? 1 : again;
  const hard = found === AlertState.OK || aggregate || occurrences >= tolerance;
  const firmness = hard ? AlertFirmness.HARD : AlertFirmness.SOFT;
  return { kind: "changed", next: { state: found, firmness, occurrences }, firm: hard };
}
