import {
  type ComponentCommand,
  componentCommandOf,
  nextDesiredState,
} from "@howdah/state/component-states";
import type { SqlText, Statement } from "../database/statement.js";
import type { NewRequest } from "../store/insert-request.js";
import type { RequestRow } from "../store/request-rows.js";
import type { ChangedTask } from "../store/task-rows.js";
import { type ComponentWish, desiredRows } from "../store/write-component-states.js";
import { byKey } from "./component-moves.js";
import { inTurn, stateMap } from "./state-map.js";

/**
 * Writes what a request wants the components of these of its tasks to be: one statement at most, of a thousand tasks or so, for the rows are
 * locked until the transaction ends. When the request does several things to a component, the last one counts.
 */
export function desiredStates(
  requestId: number | SqlText,
  { header, stages }: NewRequest,
  taskIds: readonly number[],
): Statement[] {
  const clusterId = Number(header.clusterId);
  if (clusterId === 0) return [];
  const maps = new Map<string, string>();
  for (const { role, roleCommand, command } of stages.flatMap(({ roles }) => roles)) {
    const asked = componentCommandOf(roleCommand, command?.customCommand ?? "");
    if (asked === undefined) continue;
    maps.set(role, mapOf(asked));
  }
  return desiredRows({ requestId, clusterId, taskIds }, maps);
}

function mapOf(asked: ComponentCommand): string {
  return stateMap((was, client) => ({
    state: nextDesiredState(was, asked, client),
    bound: false,
  }));
}

/** What is wanted of the components of tasks that are to run once more, in the order of their keys. */
export function wishesOf(
  tasks: readonly ChangedTask[],
  requests: ReadonlyMap<number, Pick<RequestRow, "clusterId">>,
): ComponentWish[] {
  const wishes = new Map<string, ComponentWish>();
  for (const { after } of tasks.toSorted((a, b) => a.after.taskId - b.after.taskId)) {
    const { role: component, hostId, requestId, componentCommand } = after;
    const clusterId = requests.get(requestId)?.clusterId ?? 0;
    if (componentCommand === null || clusterId === 0) continue;
    const name = `${clusterId}/${component}/${hostId}`;
    const before = wishes.get(name);
    const map = mapOf(componentCommand);
    wishes.set(name, {
      ...{ clusterId, component, hostId, requestId },
      map: before === undefined ? map : inTurn(before.map, map),
    });
  }
  return [...wishes.values()].sort(byKey);
}
