import { execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";
import { noNewerScheduler } from "./scheduler-fence.js";

/** A mark that aggregates are to be counted again. */
export interface Recount {
  readonly recountId: number;
  /** 0 for all. */
  readonly clusterId: number;
  /** Whose alerts have changed; 0 for all of the cluster. */
  readonly definitionId: number;
}

/** What the server is to find out now. */
export interface DueAlerts {
  /** Whether a scheduler with a higher token has taken the lease. */
  readonly isStale: boolean;
  readonly recounts: readonly Recount[];
  readonly definitions: readonly { readonly definitionId: number; readonly dueAt: number }[];
  /** The versions of all clusters. */
  readonly clusters: readonly { readonly clusterId: number; readonly version: number }[];
}

const recountsAtOnce = 1_000;

/** Reads what is due, in one statement that looks at little more than nothing while nothing is. */
export async function readDueAlerts(db: Database, token: number, now: number): Promise<DueAlerts> {
  const rows = await query<{ kind: number; id: number; clusterId: number; other: number }>(
    db,
    // A clock that was set back would leave an alert due far ahead: none is further off than its interval.
    `(select 0 as kind, token as id, 0 as clusterId, 0 as other from lease where name = 'scheduler' and token > ?)
    union all (select 1, recount_id, cluster_id, definition_id from alert_recount order by recount_id limit ?)
    union all (select 2, definition_id, cluster_id, due_at from alert_definition force index (due)
      where due_at >= 0 and (due_at <= ? or due_at > ? + interval_minutes * 60000))
    union all (select 3, cluster_id, cluster_id, version from cluster)`,
    [token, recountsAtOnce, now, now],
  );
  return {
    isStale: rows.some(({ kind }) => kind === 0),
    recounts: rows
      .filter(({ kind }) => kind === 1)
      .map(({ id, clusterId, other }) => ({ recountId: id, clusterId, definitionId: other })),
    definitions: rows
      .filter(({ kind }) => kind === 2)
      .map(({ id, other }) => ({ definitionId: id, dueAt: other })),
    clusters: rows
      .filter(({ kind }) => kind === 3)
      .map(({ id, other }) => ({ clusterId: id, version: other })),
  };
}

/** Takes marks away; whether they were all there, and no newer scheduler is. */
export async function takeRecounts(
  trx: Transaction,
  recountIds: readonly number[],
  token: number,
): Promise<boolean> {
  if (recountIds.length === 0) return true;
  const { affectedRows } = await execute(
    trx,
    `delete from alert_recount where recount_id in (?) and ${noNewerScheduler}`,
    [recountIds, token],
  );
  return affectedRows === recountIds.length;
}

/** Moves on when a definition is due; whether it was due then, and no newer scheduler is. */
export async function takeDue(
  trx: Transaction,
  { definitionId, dueAt }: { readonly definitionId: number; readonly dueAt: number },
  next: number,
  token: number,
): Promise<boolean> {
  const { affectedRows } = await execute(
    trx,
    `update alert_definition set due_at = ? where definition_id = ? and due_at = ? and ${noNewerScheduler}`,
    [next, definitionId, dueAt, token],
  );
  return affectedRows === 1;
}

/** How many alerts of a definition are in a state, by how sure it is. */
export interface FirmCounts {
  readonly state: number;
  readonly firmness: number;
  readonly count: number;
  readonly onHostsInMaintenance: number;
}

/** Counts the alerts of a definition, and those of them that are on these hosts. */
export async function countFirmAlerts(
  db: Database,
  definitionId: number,
  hostsInMaintenance: readonly number[],
): Promise<FirmCounts[]> {
  const rows = await query<Omit<FirmCounts, "onHostsInMaintenance"> & { maintained: number }>(
    db,
    // No host has id 0 with a maintenance of its own; an empty list is no SQL.
    `select alert_state + 0 as state, firmness + 0 as firmness, count(*) as count,
      cast(sum(host_id in (?)) as signed) as maintained
    from alert_current force index (name_listing) where definition_id = ? group by alert_state, firmness`,
    [[-1, ...hostsInMaintenance], definitionId],
  );
  return rows.map(({ maintained, ...row }) => ({
    ...row,
    onHostsInMaintenance: Number(maintained),
  }));
}
