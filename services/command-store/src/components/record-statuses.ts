import type { Knex } from "knex";
import { untilItHolds } from "../database/transaction.js";
import {
  type AgentStatus,
  findChangedStatuses,
  writeStatuses,
} from "../store/component-statuses.js";
import { byKey } from "./component-moves.js";

/**
 * Records what agents say about components, where it is news and nothing is under way there. Gives how many components changed. Two
 * statements at most, one while nothing has changed. Of two statuses of one component the later one counts.
 */
export async function recordStatuses(
  db: Knex,
  statuses: readonly AgentStatus[],
  now: number,
): Promise<number> {
  const last = new Map(statuses.map((each) => [nameOf(each), each]));
  const changed = await findChangedStatuses(db, [...last.values()].sort(byKey));
  // Between the two a task may begin and move its component: then the condition on its state does not hold any more.
  return untilItHolds(() => writeStatuses(db, changed, now));
}

function nameOf({ clusterId, component, hostId }: AgentStatus): string {
  return `${clusterId}/${component}/${hostId}`;
}
