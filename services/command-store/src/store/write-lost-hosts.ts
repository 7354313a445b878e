import { StaleReadError } from "../database/database-errors.js";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database, Transaction } from "../database/together.js";

/** A host that is not lost yet, and its last session. */
export interface ReachableHost {
  readonly hostId: number;
  readonly sessionEpoch: number;
  readonly open: boolean;
  readonly dispatcher: string;
  readonly dispatcherToken: number;
}

const key = { host_id: "bigint", epoch: "bigint" };
const toSession = `straight_join host h force index (primary) on h.host_id = v.host_id
  straight_join session s force index (primary) on s.host_id = v.host_id and s.session_epoch = v.epoch`;

/** Those of the hosts that are HEALTHY and whose last session is still the one named. */
export async function readReachableHosts(
  db: Database,
  sessions: readonly { readonly hostId: number; readonly sessionEpoch: number }[],
): Promise<ReachableHost[]> {
  if (sessions.length === 0) return [];
  const rows = await query<Omit<ReachableHost, "open"> & { open: number | null }>(
    db,
    `select h.host_id as hostId, s.session_epoch as sessionEpoch, s.open, s.dispatcher,
      s.dispatcher_token as dispatcherToken
    from ${jsonRows("v", key)} ${toSession} where h.state = 'HEALTHY'`,
    [JSON.stringify(sessions.map(({ hostId, sessionEpoch }) => [hostId, sessionEpoch]))],
  );
  return rows.map((row) => ({ ...row, open: row.open === 1 }));
}

const loseHosts = `update ${jsonRows("v", { ...key, was_open: "tinyint" })} ${toSession}
set h.state = 'HEARTBEAT_LOST', h.lost_at = ? where h.state = 'HEALTHY' and coalesce(s.open, 0) <= v.was_open`;

/** Makes hosts HEARTBEAT_LOST. `StaleReadError` when one has another session, or is lost, since it was read. */
export async function writeLostHosts(
  trx: Transaction,
  hosts: readonly ReachableHost[],
  lostAt: number,
): Promise<void> {
  const rows = hosts
    .map(({ hostId, sessionEpoch, open }) => [hostId, sessionEpoch, open ? 1 : 0] as const)
    .sort((a, b) => a[0] - b[0]);
  const { affectedRows } = await execute(trx, loseHosts, [JSON.stringify(rows), lostAt]);
  if (affectedRows !== rows.length) {
    throw new StaleReadError(`${rows.length - affectedRows} hosts have another session`);
  }
}

/** Makes what was installed on these hosts UNKNOWN: whether it runs is not known any more. Clients do not run. */
export async function writeUnknownComponents(
  trx: Transaction,
  hostIds: readonly number[],
  now: number,
): Promise<void> {
  await execute(
    trx,
    `update host_component set current_state = 'UNKNOWN', changed_at = ?
    where host_id in (?) and client = 0 and current_state in ('INSTALLED', 'STARTED', 'STARTING', 'STOPPING')`,
    [now, hostIds],
  );
}

/** Takes the right to record host states; false when a scheduler with a higher token has it. */
export async function claimHostMonitor(trx: Transaction, token: number): Promise<boolean> {
  const { affectedRows } = await execute(
    trx,
    "update host_monitor set scheduler_token = ?, claims = claims + 1 where id = 1 and scheduler_token <= ?",
    [token, token],
  );
  return affectedRows === 1;
}
