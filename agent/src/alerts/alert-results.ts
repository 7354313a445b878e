import { create } from "@bufbuild/protobuf";
import { type AlertReport, AlertReportSchema } from "@howdah/proto/howdah/v1/agent_service";
import { type AlertResult, AlertResultSchema, AlertState } from "@howdah/proto/howdah/v1/alert";
import { alertKey, type HostAlert } from "./host-alert.js";

/** What a check of an alert came to. */
export interface Finding {
  readonly state: AlertState;
  readonly text: string;
  /** More for the log. */
  readonly detail?: string | undefined;
}

interface Known {
  alert: HostAlert;
  found?: Finding & { readonly atMs: number };
  /** What the server has for sure. */
  acked?: Finding;
  /** What it was told last in this session; what it has where nothing is under way. */
  told?: Finding | undefined;
  /** How often `told` was told again. */
  repeats: number;
  /** To be told again although it did not change. */
  again: boolean;
}

interface Asked {
  readonly executionId: bigint;
  readonly clusterId: bigint;
  readonly definitionId: bigint;
  readonly finding: Finding;
  readonly atMs: number;
}

interface UnderWay {
  readonly told: readonly (readonly [Known, Finding])[];
  readonly stale: string;
}

const mostResults = 1_000;
/** Of so many reports it is remembered what they told. */
const mostUnderWay = 1_000;

/**
 * What the checks found and what the server knows of it: tells changes, repeats of what is not OK as often as the tolerance wants, and
 * what was asked for. Outlives sessions, not the process.
 */
export class AlertResults {
  private known = new Map<string, Known>();
  private asked: Asked[] = [];
  private stale: bigint[] = [];
  private toldStale = "";
  private ackedStale = "";
  private sequence = 0n;
  private readonly underWay = new Map<bigint, UnderWay>();

  /** @param now a clock that nobody sets */
  constructor(private readonly now: () => number) {}

  /** These are watched from now on. What is known of others, or of a definition that has changed, is forgotten. */
  watch(alerts: readonly HostAlert[]): void {
    const former = this.known;
    this.known = new Map();
    for (const alert of alerts) {
      const key = alertKey(alert);
      const had = former.get(key);
      const same = had !== undefined && had.alert.definition.uuid === alert.definition.uuid;
      if (same) had.alert = alert;
      this.known.set(key, same ? had : { alert, repeats: 0, again: false });
    }
  }

  /** Another store knows nothing of what was acknowledged. */
  forgetAcknowledged(): void {
    for (const known of this.known.values()) {
      delete known.acked;
      known.told = undefined;
    }
    this.ackedStale = "";
    this.toldStale = "";
  }

  /** A check of the schedule ended; true when the state or the text is another than the last time. */
  found(alert: HostAlert, finding: Finding): boolean {
    const known = this.known.get(alertKey(alert));
    if (known === undefined || known.alert.definition.uuid !== alert.definition.uuid) return false;
    // What was known before stays.
    if (finding.state === AlertState.SKIPPED) return false;
    const changed = !same(known.found, finding);
    known.found = { ...finding, atMs: this.now() };
    if (!same(known.told, finding)) known.repeats = 0;
    else if (finding.state !== AlertState.OK && known.repeats < alert.tolerance) known.again = true;
    return changed;
  }

  /** A check that was asked for ended. */
  answer(executionId: bigint, clusterId: bigint, definitionId: bigint, finding: Finding): void {
    this.asked.push({ executionId, clusterId, definitionId, finding, atMs: this.now() });
  }

  /** These have not been run for long. */
  setStale(definitionIds: readonly bigint[]): void {
    this.stale = [...definitionIds].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  }

  /** Whether there is anything that a server should be told. */
  get isDue(): boolean {
    if (this.asked.length > 0 || this.toldStale !== this.stale.join()) return true;
    for (const known of this.known.values()) if (isDue(known)) return true;
    return false;
  }

  /** What the server is to be told now, at most 1,000 results a report; it counts as told until the session ends. */
  takeReports(): AlertReport[] {
    const reports: AlertReport[] = [];
    while (this.isDue) reports.push(this.takeReport());
    return reports;
  }

  private takeReport(): AlertReport {
    const now = this.now();
    const results: AlertResult[] = [];
    const told: [Known, Finding][] = [];
    for (const { atMs, finding, ...which } of this.asked.splice(0, mostResults)) {
      results.push(result(which, finding, now - atMs));
      const known = this.known.get(`${which.clusterId}/${which.definitionId}`);
      if (known !== undefined && same(known.found, finding)) this.tell(known, finding, told);
    }
    for (const known of this.known.values()) {
      if (results.length >= mostResults) break;
      const { alert, found } = known;
      if (found === undefined || !isDue(known)) continue;
      const which = {
        clusterId: alert.clusterId,
        definitionId: alert.definition.definitionId,
        executionId: 0n,
      };
      results.push(result(which, found, now - found.atMs));
      this.tell(known, found, told);
    }
    this.sequence += 1n;
    this.toldStale = this.stale.join();
    this.underWay.set(this.sequence, { told, stale: this.toldStale });
    // While the store is away nothing is acknowledged, for days maybe. The next session is told again what the oldest told.
    const [oldest] = this.underWay.keys();
    if (oldest !== undefined && this.underWay.size > mostUnderWay) this.underWay.delete(oldest);
    return create(AlertReportSchema, {
      sequence: this.sequence,
      results,
      staleDefinitionIds: this.stale,
    });
  }

  private tell(known: Known, { state, text }: Finding, told: [Known, Finding][]): void {
    if (known.again && same(known.told, { state, text })) known.repeats += 1;
    known.again = false;
    known.told = { state, text };
    told.push([known, known.told]);
  }

  /** A report is committed, or will never be. */
  acknowledged(sequence: bigint): void {
    const report = this.underWay.get(sequence);
    if (report === undefined) return;
    this.underWay.delete(sequence);
    for (const [known, finding] of report.told) known.acked = finding;
    this.ackedStale = report.stale;
  }

  /** The session is over: what it did not acknowledge is told again by the next one, what was asked for in it is not. */
  disconnected(): void {
    this.underWay.clear();
    this.asked = [];
    for (const known of this.known.values()) known.told = known.acked;
    this.toldStale = this.ackedStale;
  }
}

function isDue({ found, told, again }: Known): boolean {
  return found !== undefined && (again || !same(told, found));
}

function same(a: Finding | undefined, b: Finding): boolean {
  return a !== undefined && a.state === b.state && a.text === b.text;
}

function result(
  which: Pick<AlertResult, "clusterId" | "definitionId" | "executionId">,
  { state, text }: Finding,
  ageMs: number,
): AlertResult {
  return create(AlertResultSchema, {
    ...which,
    state,
    text,
    ageMs: BigInt(Math.max(0, Math.round(ageMs))),
  });
}
