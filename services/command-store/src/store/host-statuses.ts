import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** How a host is, as its agent tells it. */
export interface AgentHostStatus {
  readonly hostId: number;
  readonly sessionEpoch: number;
  /** Of what follows. */
  readonly digest: string;
  /** A JSON object. */
  readonly status: string;
  /** A JSON array of texts; null when there is no problem. */
  readonly problems: string | null;
}

const columns = { host_id: "bigint", epoch: "bigint", digest: "varchar(64) character set utf8mb4" };

const selectChanged = `select v.host_id as hostId
from ${jsonRows("v", columns)}
  straight_join session s force index (primary) on s.host_id = v.host_id and s.session_epoch = v.epoch and s.open = 1
  left join host_status hs force index (primary) on hs.host_id = v.host_id
where hs.host_id is null or hs.digest <> v.digest collate utf8mb4_bin`;

/** The ids of those hosts of which this is news, and whose session is the one it came on. No lock. */
export async function findChangedHosts(
  db: Database,
  statuses: readonly AgentHostStatus[],
): Promise<ReadonlySet<number>> {
  if (statuses.length === 0) return new Set();
  const rows = statuses.map(({ hostId, sessionEpoch, digest }) => [hostId, sessionEpoch, digest]);
  const found = await query<{ hostId: number }>(db, selectChanged, [JSON.stringify(rows)]);
  return new Set(found.map(({ hostId }) => hostId));
}

// The epoch last: each assignment sees what those before it made of the row.
const isNewer = "values(session_epoch) >= session_epoch";
const assign = (column: string) => `${column} = if(${isNewer}, values(${column}), ${column})`;
const upsert = `insert into host_status (host_id, session_epoch, digest, status, problems, changed_at) values ?
on duplicate key update ${["digest", "status", "problems", "changed_at"].map(assign).join(", ")},
  session_epoch = greatest(session_epoch, values(session_epoch))`;

/** Writes how hosts are; what a later session of the host said stays. */
export async function writeHostStatuses(
  db: Database,
  statuses: readonly AgentHostStatus[],
  now: number,
): Promise<void> {
  if (statuses.length === 0) return;
  const rows = statuses.map(({ hostId, sessionEpoch, digest, status, problems }) => [
    ...[hostId, sessionEpoch, digest, status, problems, now],
  ]);
  await execute(db, upsert, [rows]);
}
