import type { ComponentKey, ComponentMove } from "../components/component-moves.js";
import { mappedState, takesBinding } from "../components/state-map.js";
import { jsonRows } from "../database/json-rows.js";
import type { SqlText, Statement } from "../database/statement.js";

const mapColumn = "varchar(26) character set utf8mb4";
const componentName = "varchar(100) character set utf8mb4";

const state = ["v.next", "hc.current_state", "hc.client"] as const;

// What depends on the state comes before it: MySQL would otherwise see the new one.
const updateStates = `update ${jsonRows("v", {
  cluster_id: "bigint",
  component_name: componentName,
  host_id: "bigint",
  binding_id: "bigint",
  next: mapColumn,
})} straight_join host_component hc force index (primary)
  on hc.cluster_id = v.cluster_id and hc.component_name = v.component_name and hc.host_id = v.host_id
set hc.binding_id = if(${takesBinding(...state)} and v.binding_id > 0, v.binding_id, hc.binding_id),
  hc.changed_at = if(${mappedState(...state)} = hc.current_state + 0, hc.changed_at, ?),
  hc.current_state = ${mappedState(...state)}`;

/** Moves components: one statement, none when there is nothing to move. Components that have left their cluster are left out. */
export function moveWrites(moves: readonly ComponentMove[], now: number): Statement[] {
  if (moves.length === 0) return [];
  const rows = moves.map(({ clusterId, component, hostId, bindingId, map }) => [
    clusterId,
    component,
    hostId,
    bindingId,
    map,
  ]);
  return [{ sql: updateStates, bindings: [JSON.stringify(rows), now] }];
}

// Sorted, so that requests for the same components wait for each other instead of for ever.
// The maps stand in an expression: rows of JSON would be read anew for each task.
const updateDesired = `update (
  select t.role, t.host_id, elt(field(t.role, ?), ?) as next from host_role_command t force index (primary)
  where t.task_id between ? and ? and t.request_id = ? and t.role in (?)
  group by t.role, t.host_id order by t.role, t.host_id
) o straight_join host_component hc force index (primary)
    on hc.cluster_id = ? and hc.component_name = o.role and hc.host_id = o.host_id
set hc.desired_state = ${mappedState("o.next", "hc.desired_state", "hc.client")}, hc.desired_request_id = ?`;

const updateWished = `update ${jsonRows("v", {
  cluster_id: "bigint",
  component_name: componentName,
  host_id: "bigint",
  request_id: "bigint",
  next: mapColumn,
})} straight_join host_component hc force index (primary)
  on hc.cluster_id = v.cluster_id and hc.component_name = v.component_name and hc.host_id = v.host_id
set hc.desired_state = ${mappedState("v.next", "hc.desired_state", "hc.client")}, hc.desired_request_id = v.request_id`;

/** What a request wants a component to be, by the map of what it was wanted to be. */
export interface ComponentWish extends ComponentKey {
  readonly requestId: number;
  readonly map: string;
}

/** Writes what components are wanted to be: one statement, none when there is nothing to write. */
export function wishWrites(wishes: readonly ComponentWish[]): Statement[] {
  if (wishes.length === 0) return [];
  const rows = wishes.map(({ clusterId, component, hostId, requestId, map }) => [
    clusterId,
    component,
    hostId,
    requestId,
    map,
  ]);
  return [{ sql: updateWished, bindings: [JSON.stringify(rows)] }];
}

/** Tasks of a request about a cluster. */
export interface WantedOf {
  readonly requestId: number | SqlText;
  readonly clusterId: number;
  /** A thousand or so; all of the request's between the least and the greatest are taken in. */
  readonly taskIds: readonly number[];
}

/** Writes what components are wanted to be: those of these tasks of a request, by the map of each component. None when there is nothing to write. */
export function desiredRows(
  { requestId, clusterId, taskIds }: WantedOf,
  maps: ReadonlyMap<string, string>,
): Statement[] {
  if (maps.size === 0 || taskIds.length === 0) return [];
  const [first, last] = [Math.min(...taskIds), Math.max(...taskIds)];
  const roles = [...maps.keys()];
  const asked = [roles, [...maps.values()]];
  const bindings = [...asked, first, last, requestId, roles, clusterId, requestId];
  return [{ sql: updateDesired, bindings }];
}
