import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type ComponentCommand,
  type ComponentEvent,
  componentEventOf,
  moveComponent,
} from "@howdah/state/component-states";
import type { RequestRow } from "../store/request-rows.js";
import type { ChangedTask } from "../store/task-rows.js";
import { inTurn, stateMap } from "./state-map.js";

/** A component on a host. */
export interface ComponentKey {
  readonly clusterId: number;
  readonly component: string;
  readonly hostId: number;
}

/** What a batch does to a component, whatever its state is. */
export interface ComponentMove extends ComponentKey {
  /** The documents that the command was bound to, for components that take them over. */
  readonly bindingId: number;
  /** What each state becomes, see `stateMap`. */
  readonly map: string;
}

/**
 * What changed tasks do to their components: one move for each component, in the order of its key. Several tasks of one component
 * are taken in the order in which its host ran them.
 */
export function componentMovesOf(
  changes: readonly ChangedTask[],
  requests: ReadonlyMap<number, Pick<RequestRow, "clusterId">>,
): ComponentMove[] {
  const moves = new Map<string, ComponentMove>();
  for (const { before, after } of changes.toSorted(asRun)) {
    const { componentCommand: command, role: component, hostId, bindingId } = after;
    const event = command === null ? undefined : componentEventOf(before, after);
    const clusterId = requests.get(after.requestId)?.clusterId ?? 0;
    if (command === null || event === undefined || clusterId === 0) continue;
    const name = `${clusterId}/${component}/${hostId}`;
    const first = moves.get(name);
    const map = mapOf(command, event);
    moves.set(name, {
      ...{ clusterId, component, hostId },
      bindingId: bindingId || (first?.bindingId ?? 0),
      map: first === undefined ? map : inTurn(first.map, map),
    });
  }
  return [...moves.values()].sort(byKey);
}

/** Ended tasks before those that run, in the order of their ends. */
function asRun({ after: a }: ChangedTask, { after: b }: ChangedTask): number {
  const running = Number(a.status === Status.IN_PROGRESS) - Number(b.status === Status.IN_PROGRESS);
  return running || a.endTime - b.endTime || a.taskId - b.taskId;
}

const maps = new Map<string, string>();

/** The map of an event: there are few, and many tasks. */
function mapOf(command: ComponentCommand, event: ComponentEvent): string {
  const name = `${command}/${event}`;
  const map =
    maps.get(name) ?? stateMap((state, client) => moveComponent(state, command, event, client));
  maps.set(name, map);
  return map;
}

/** Orders components as their table's key does. */
export function byKey(a: ComponentKey, b: ComponentKey): number {
  const byCluster = a.clusterId - b.clusterId;
  if (byCluster !== 0) return byCluster;
  if (a.component !== b.component) return a.component < b.component ? -1 : 1;
  return a.hostId - b.hostId;
}
