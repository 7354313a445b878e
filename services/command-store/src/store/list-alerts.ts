import type { AlertState } from "@howdah/proto/howdah/v1/alert";
import { query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";
import {
  fromStoredFirmness,
  fromStoredState,
  storedStates,
  toStoredState,
} from "./alert-states.js";
import type { CurrentAlert } from "./current-alerts.js";

/** An alert as lists show it. */
export interface ListedAlert extends Omit<CurrentAlert, "version"> {
  readonly service: string;
  readonly name: string;
  readonly hostName: string;
}

/** Which alerts of a cluster to list. */
export interface AlertFilter {
  readonly clusterId: number;
  /** Undefined means all. */
  readonly definitionId: number | undefined;
  /** Empty means all. */
  readonly service: string;
  /** Undefined means all. */
  readonly hostId: number | undefined;
}

/** Where in the list something stands. */
export interface AlertPlace {
  readonly state: AlertState;
  readonly name: string;
  readonly hostName: string;
}

/**
 * The next alerts in these states behind `after`, `limit` at most: what is worst first, then by name and host. Reads each state's part of an
 * index from where it goes on, so a page costs the same wherever it is.
 */
export async function listAlerts(
  db: Database,
  filter: AlertFilter,
  states: readonly AlertState[],
  after: AlertPlace | undefined,
  limit: number,
): Promise<ListedAlert[]> {
  const found: ListedAlert[] = [];
  for (const state of storedStates) {
    if (found.length >= limit) break;
    if (states.length > 0 && !states.includes(state)) continue;
    if (after !== undefined && toStoredState(state) < toStoredState(after.state)) continue;
    // Two ranges of the index, since one condition for both would read the former from its beginning.
    for (const range of after?.state === state ? rangesAfter(after) : [everything]) {
      if (found.length >= limit) break;
      found.push(...(await listRange(db, filter, state, range, limit - found.length)));
    }
  }
  return found;
}

interface Range {
  readonly where: readonly string[];
  readonly bindings: readonly string[];
}

const everything: Range = { where: [], bindings: [] };

function rangesAfter({ name, hostName }: AlertPlace): Range[] {
  return [
    { where: ["a.name = ?", "a.host_name > ?"], bindings: [name, hostName] },
    { where: ["a.name > ?"], bindings: [name] },
  ];
}

async function listRange(
  db: Database,
  filter: AlertFilter,
  state: AlertState,
  range: Range,
  limit: number,
): Promise<ListedAlert[]> {
  const { index, where, bindings } = narrowed(filter);
  const conditions = [...where, "a.alert_state = ?", ...range.where];
  const order = filter.definitionId === undefined ? "a.name, a.host_name" : "a.host_name";
  const rows = await query<ListedAlert>(
    db,
    `select a.definition_id as definitionId, a.host_id as hostId, a.service_name as service, a.name, a.host_name as hostName,
      a.alert_state + 0 as state, a.firmness + 0 as firmness, a.occurrences, a.since, a.told_at as toldAt, a.latest_text as text
    from alert_current a force index (${index}) where ${conditions.join(" and ")}
    order by ${order} limit ?`,
    [...bindings, toStoredState(state), ...range.bindings, limit],
  );
  return rows.map((row) => ({
    ...row,
    state: fromStoredState(row.state),
    firmness: fromStoredFirmness(row.firmness),
  }));
}

/** The conditions of a filter, and the index that serves them: of a host there are few, so those are sorted. */
export function narrowed({ clusterId, definitionId, service, hostId }: AlertFilter): {
  index: string;
  where: string[];
  bindings: Binding[];
} {
  const where = ["a.cluster_id = ?"];
  const bindings: Binding[] = [clusterId];
  if (hostId !== undefined) {
    where.push("a.host_id = ?");
    bindings.push(hostId);
  }
  if (definitionId !== undefined) {
    where.push("a.definition_id = ?");
    bindings.push(definitionId);
  }
  if (service !== "") {
    where.push("a.service_name = ?");
    bindings.push(service);
  }
  if (hostId !== undefined)
    return { index: definitionId === undefined ? "host" : "primary", where, bindings };
  if (definitionId !== undefined) return { index: "name_listing", where, bindings };
  return { index: service === "" ? "listing" : "service_listing", where, bindings };
}
