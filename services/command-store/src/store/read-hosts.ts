import { query } from "../database/query.js";
import type { Database } from "../database/together.js";
import { type HostCondition, hostCondition } from "./list-hosts.js";

/** A host and its last session; the session's fields are null when it never had one. */
export interface HostRow {
  readonly host_id: number;
  readonly host_name: string;
  readonly agent_version: string;
  /** A JSON object. */
  readonly labels: string;
  /** A JSON object. */
  readonly facts: string;
  readonly registered_at: number;
  readonly state: "HEALTHY" | "HEARTBEAT_LOST";
  /** When it was lost last; 0: never. */
  readonly lost_at: number;
  readonly session_epoch: number | null;
  readonly dispatcher: string | null;
  readonly peer_address: string | null;
  readonly closed_at: number | null;
  readonly open: number | null;
  /** Of its own maintenance; null while it is off. */
  readonly maintenance_reason: string | null;
  readonly maintenance_since: number | null;
  /** A JSON array of texts, in brief lists of the first one; null when there are none. */
  readonly problems: string | null;
  /** A JSON object; null when it was never told, and in lists. */
  readonly status: string | null;
}

/** The hosts of these ids, by name; `brief` leaves labels and facts empty, and all problems but the first out. None has its `status`. */
export async function readHosts(
  db: Database,
  hostIds: readonly number[],
  brief: boolean,
): Promise<HostRow[]> {
  if (hostIds.length === 0) return [];
  return query<HostRow>(db, `${select(brief, false)} where h.host_id in (?) order by h.host_name`, [
    hostIds,
  ]);
}

/** The next hosts by name behind `after`, `limit` at most, as `readHosts` gives brief ones. */
export async function readHostsBehind(
  db: Database,
  after: string,
  only: HostCondition,
  limit: number,
): Promise<HostRow[]> {
  const { condition, bindings } = hostCondition(after, only);
  return query<HostRow>(
    db,
    `${select(true, false)} where ${condition} order by h.host_name limit ?`,
    [...bindings, limit],
  );
}

/** The host of this name, in lower case. */
export async function readHost(db: Database, hostName: string): Promise<HostRow | undefined> {
  const [row] = await query<HostRow>(db, `${select(false, true)} where h.host_name = ?`, [
    hostName,
  ]);
  return row;
}

function select(brief: boolean, withStatus: boolean): string {
  return `select h.host_id, h.host_name, h.agent_version, h.registered_at, h.state, h.lost_at,
      ${brief ? "'' as labels, '' as facts" : "h.labels, h.facts"},
      s.session_epoch, s.dispatcher, s.peer_address, s.closed_at, s.open,
      ${brief ? "concat('[', json_extract(hs.problems, '$[0]'), ']') as problems" : "hs.problems"}, ${withStatus ? "hs.status" : "null as status"},
      m.reason as maintenance_reason, m.since as maintenance_since
    from host h left join session s on s.host_id = h.host_id
      left join host_status hs on hs.host_id = h.host_id
      left join maintenance m on m.cluster_id = 0 and m.service_name = '' and m.component_name = '' and m.host_id = h.host_id`;
}
