import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";

/** An alert that a host has not checked for long. */
export interface StaleAlert {
  readonly hostId: number;
  readonly definitionId: number;
}

const rowsAtOnce = 1_000;
const deleteStale = `delete s from ${jsonRows("v", { host_id: "bigint", definition_id: "bigint" })}
  straight_join alert_stale s force index (primary) on s.host_id = v.host_id and s.definition_id = v.definition_id`;

/** Makes what is stored about these hosts what they say. Writes what differs. */
export async function writeStaleAlerts(
  trx: Transaction,
  hostIds: readonly number[],
  said: readonly StaleAlert[],
  now: number,
): Promise<void> {
  if (hostIds.length === 0) return;
  const stored = await query<StaleAlert>(
    trx,
    "select host_id as hostId, definition_id as definitionId from alert_stale where host_id in (?)",
    [hostIds],
  );
  const keyOf = ({ hostId, definitionId }: StaleAlert) => `${hostId}/${definitionId}`;
  const before = new Set(stored.map(keyOf));
  const after = new Map(said.map((each) => [keyOf(each), each]));
  const gone = stored.filter((each) => !after.has(keyOf(each)));
  const added = [...after.values()].filter((each) => !before.has(keyOf(each)));
  for (let start = 0; start < gone.length; start += rowsAtOnce) {
    const rows = gone.slice(start, start + rowsAtOnce);
    const keys = rows.map(({ hostId, definitionId }) => [hostId, definitionId]);
    await execute(trx, deleteStale, [JSON.stringify(keys)]);
  }
  for (let start = 0; start < added.length; start += rowsAtOnce) {
    const rows = added.slice(start, start + rowsAtOnce);
    await execute(trx, "insert ignore into alert_stale (host_id, definition_id, since) values ?", [
      rows.map(({ hostId, definitionId }) => [hostId, definitionId, now]),
    ]);
  }
}

/** Which of these alerts their hosts have not checked for long, as `HOST/DEFINITION`. */
export async function readStaleAlerts(
  db: Database,
  alerts: readonly StaleAlert[],
): Promise<ReadonlySet<string>> {
  if (alerts.length === 0) return new Set();
  const rows = await query<StaleAlert>(
    db,
    "select host_id as hostId, definition_id as definitionId from alert_stale where (host_id, definition_id) in (?)",
    [alerts.map(({ hostId, definitionId }) => [hostId, definitionId])],
  );
  return new Set(rows.map(({ hostId, definitionId }) => `${hostId}/${definitionId}`));
}
