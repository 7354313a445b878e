import { AlertSourceType, type AlertState } from "@howdah/proto/howdah/v1/alert";
import { AlertFirmness } from "@howdah/proto/howdah/v1/alert_service";
import { nextAlert } from "@howdah/state/alerts";
import type { Transaction } from "../database/together.js";
import type { KnownDefinition } from "../store/alert-watchers.js";
import { insertRecounts } from "../store/cluster-alerts.js";
import {
  type AlertEvent,
  byAlertKey,
  type CurrentAlert,
  insertAlertHistory,
  insertCurrentAlerts,
  readCurrentAlerts,
  updateCurrentAlerts,
} from "../store/current-alerts.js";

/** What was found out about an alert. */
export interface Finding {
  readonly known: KnownDefinition;
  /** The host that it is about; 0, and no name, for one that belongs to none. */
  readonly hostId: number;
  readonly hostName: string;
  readonly state: AlertState;
  readonly text: string;
  /** When. */
  readonly at: number;
}

/** An alert on its way from what is stored to what will be. */
interface Moving {
  readonly finding: Finding;
  readonly stored: CurrentAlert | undefined;
  now: CurrentAlert | undefined;
}

const longestText = 4_000;

/** An alert's text as it is stored. */
export function storedText(text: string): string {
  const clean = text.replaceAll("\0", "");
  if (clean.length <= longestText) return clean;
  // Half a character is none to the database.
  return clean.slice(0, longestText).replace(/[\uD800-\uDBFF]$/, "");
}

/**
 * Records what was found, in the order given, by the rules of `nextAlert`: current alerts, history, and which aggregates to count again.
 * Gives how many alerts changed their state. `unchanged` says whether to write one that is HARD and as it was, text and all:
 * agents do not tell those for long, so what they tell is written.
 */
export async function recordFindings(
  trx: Transaction,
  findings: readonly Finding[],
  unchanged: "written" | "passed over",
): Promise<number> {
  const moving = new Map<string, Moving>();
  const keyOf = (definitionId: number, hostId: number) => `${definitionId}/${hostId}`;
  const keys = new Map(
    findings.map(({ known: { definitionId }, hostId }) => [
      keyOf(definitionId, hostId),
      { definitionId, hostId },
    ]),
  );
  const current = await readCurrentAlerts(trx, [...keys.values()].sort(byAlertKey));
  const stored = new Map(current.map((each) => [keyOf(each.definitionId, each.hostId), each]));
  const events: AlertEvent[] = [];
  const recounts = new Map<number, readonly [number, number]>();
  const changed = new Set<string>();

  for (const finding of findings) {
    const { known, hostId, hostName, state, at } = finding;
    const { clusterId, definitionId, definition, tolerance } = known;
    const key = keyOf(definitionId, hostId);
    const was = moving.get(key)?.now ?? stored.get(key);
    const aggregate = definition.sourceType === AlertSourceType.AGGREGATE;
    const step = nextAlert(was, state, { tolerance, aggregate });
    if (step.next === undefined) continue;
    const text = storedText(finding.text);
    const isSure = was?.firmness === AlertFirmness.HARD && was.text === text;
    if (unchanged === "passed over" && step.kind === "same" && isSure) continue;
    const isNew = step.kind === "changed";
    const next: CurrentAlert = {
      definitionId,
      hostId,
      ...step.next,
      since: isNew || was === undefined ? at : was.since,
      toldAt: Math.max(at, was?.toldAt ?? 0),
      text: step.kind === "told" && text.trim() === "" ? (was?.text ?? "") : text,
      version: was?.version ?? 0,
    };
    moving.set(key, { finding, stored: stored.get(key), now: next });
    if (step.firm) recounts.set(definitionId, [clusterId, definitionId]);
    if (!isNew) continue;
    changed.add(key);
    const { name, serviceName: service, componentName: component } = definition;
    events.push({ clusterId, name, hostName, service, component, state, changedAt: at, text });
  }

  await write(trx, [...moving.values()]);
  await insertAlertHistory(trx, events);
  await insertRecounts(trx, [...recounts.values()]);
  return changed.size;
}

async function write(trx: Transaction, moving: readonly Moving[]): Promise<void> {
  const all = moving.flatMap(({ finding, stored, now }) =>
    now === undefined ? [] : [{ finding, stored, now }],
  );
  all.sort((a, b) => byAlertKey(a.now, b.now));
  const added = all.filter(({ stored }) => stored === undefined);
  await insertCurrentAlerts(
    trx,
    added.map(({ finding: { known, hostName }, now }) => ({
      ...now,
      clusterId: known.clusterId,
      clusterVersion: known.clusterVersion,
      service: known.definition.serviceName,
      name: known.definition.name,
      hostName,
    })),
  );
  await updateCurrentAlerts(
    trx,
    all.flatMap(({ stored, now }) => (stored === undefined ? [] : [now])),
  );
}
