import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { jsonRows } from "../database/json-rows.js";
import { execute, query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** What an agent says about a component on its host. */
export interface AgentStatus {
  readonly hostId: number;
  readonly sessionEpoch: number;
  readonly clusterId: number;
  readonly component: string;
  readonly state: ComponentState;
}

/** A status that differs from what is stored. */
export interface ChangedStatus extends Omit<AgentStatus, "sessionEpoch"> {
  readonly was: ComponentState;
}

const component = "varchar(100) character set utf8mb4";
const keyColumns = { cluster_id: "bigint", component_name: component, host_id: "bigint" };

const selectChanged = `select v.cluster_id as clusterId, v.component_name as component, v.host_id as hostId, v.state,
  hc.current_state + 0 as was
from ${jsonRows("v", { ...keyColumns, epoch: "bigint", state: "tinyint" })}
  straight_join session s force index (primary) on s.host_id = v.host_id and s.session_epoch = v.epoch and s.open = 1
  straight_join host_component hc force index (primary)
    on hc.cluster_id = v.cluster_id and hc.component_name = v.component_name and hc.host_id = v.host_id
where (hc.current_state in ('INSTALLED', 'STARTED', 'UNKNOWN')
    or hc.auto_start = 1 and hc.current_state = 'INSTALL_FAILED' and v.state = ${ComponentState.STARTED}) and hc.current_state <> v.state and hc.client = 0
  and not exists (select 1 from host_role_command t force index (open_host)
    where t.open_host_id = v.host_id and t.role = v.component_name and t.status in ('QUEUED', 'IN_PROGRESS'))`;

/**
 * Those of the statuses that are news: the component is INSTALLED, STARTED or UNKNOWN (or its agent installed it again by itself, and it
 * runs), in another state than this, no task of it is under way on the host, and the session they came on is its host's and open. In the order given, no lock.
 */
export async function findChangedStatuses(
  db: Database,
  statuses: readonly AgentStatus[],
): Promise<ChangedStatus[]> {
  if (statuses.length === 0) return [];
  const rows = statuses.map((each) => [
    each.clusterId,
    each.component,
    each.hostId,
    each.sessionEpoch,
    each.state,
  ]);
  return query<ChangedStatus>(db, selectChanged, [JSON.stringify(rows)]);
}

const updateStates = `update ${jsonRows("v", { ...keyColumns, was: "tinyint", state: "tinyint" })}
  straight_join host_component hc force index (primary)
    on hc.cluster_id = v.cluster_id and hc.component_name = v.component_name and hc.host_id = v.host_id
      and hc.current_state = v.was
set hc.current_state = v.state, hc.changed_at = ?`;

/** Writes statuses, each if its component is still in the state it was found in. Gives how many were written. */
export async function writeStatuses(
  db: Database,
  statuses: readonly ChangedStatus[],
  now: number,
): Promise<number> {
  if (statuses.length === 0) return 0;
  const rows = statuses.map((each) => [
    each.clusterId,
    each.component,
    each.hostId,
    each.was,
    each.state,
  ]);
  const { affectedRows } = await execute(db, updateStates, [JSON.stringify(rows), now]);
  return affectedRows;
}
