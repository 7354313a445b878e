import { componentCommandOf, nextDesiredState } from "@howdah/state/component-states";
import type { Knex } from "knex";
import type { NewRequest } from "../store/insert-request.js";
import { writeDesired } from "../store/write-component-states.js";
import { stateMap } from "./state-map.js";

/**
 * Writes what a request wants the components of these of its tasks to be: one statement, of a thousand tasks or so, for the rows are
 * locked until the transaction ends. When the request does several things to a component, the last one counts.
 */
export async function writeDesiredStates(
  trx: Knex.Transaction,
  requestId: number,
  { header, stages }: NewRequest,
  taskIds: readonly number[],
): Promise<void> {
  const clusterId = Number(header.clusterId);
  if (clusterId === 0) return;
  const maps = new Map<string, string>();
  for (const { role, roleCommand, command } of stages.flatMap(({ roles }) => roles)) {
    const asked = componentCommandOf(roleCommand, command?.customCommand ?? "");
    if (asked === undefined) continue;
    const next = stateMap((was, client) => ({
      state: nextDesiredState(was, asked, client),
      bound: false,
    }));
    maps.set(role, next);
  }
  await writeDesired(trx, { requestId, clusterId, taskIds }, maps);
}
