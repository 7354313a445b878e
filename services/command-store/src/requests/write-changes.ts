import { Status } from "@howdah/proto/howdah/v1/status";
import type { Knex } from "knex";
import { componentMovesOf } from "../components/component-moves.js";
import type { RequestRow } from "../store/request-rows.js";
import { writeComponentMoves } from "../store/write-component-states.js";
import {
  readStageCounts,
  type StageCounts,
  writeRequests,
  writeStages,
} from "../store/write-roll-up.js";
import { insertAttempts, writeCounters, writeTasks } from "../store/write-task-changes.js";
import { rolledUpRequest, rolledUpStage } from "./roll-up.js";
import { spendBudgets } from "./spent-budget.js";
import type { ChangeSet } from "./task-changes.js";

/** What a role's failure is made of. */
const failures: ReadonlySet<Status> = new Set([
  Status.FAILED,
  Status.TIMEDOUT,
  Status.ABORTED,
  Status.UNKNOWN,
]);

/**
 * Writes all that a transaction gathered: counters, tasks, former attempts, then what stages and requests come to. A constant number
 * of statements, whatever the number of tasks. `changes.requests` has the requests as they are then.
 */
export async function writeChanges(
  trx: Knex.Transaction,
  changes: ChangeSet,
  now: number,
): Promise<void> {
  const changed = changes.changed();
  await writeCounters(trx, changed);
  await writeTasks(trx, changed);
  await insertAttempts(trx, changes.superseded);

  const moved = changed.filter(({ before, after }) => before.status !== after.status);
  const requestIds = [...new Set(moved.map(({ after }) => after.requestId))].sort((a, b) => a - b);
  const started = new Set(
    moved
      .filter(({ after }) => after.startTime > 0)
      .flatMap(({ after }) => [`${after.requestId}`, `${after.requestId}/${after.stageId}`]),
  );
  const failed = new Set(
    moved.filter(({ after }) => failures.has(after.status)).map(({ after }) => after.requestId),
  );
  const stages = requestIds.length === 0 ? [] : await readStageCounts(trx, requestIds);
  await writeStages(
    trx,
    stages.flatMap((stage) => {
      const next = rolledUpStage(stage, started.has(`${stage.requestId}/${stage.stageId}`), now);
      return isSameStage(stage, next) ? [] : [next];
    }),
  );
  const spendingOf = await spendBudgets(trx, changes);
  const written: RequestRow[] = [];
  for (const [requestId, request] of changes.requests) {
    const own = stages.filter((stage) => stage.requestId === requestId);
    const happened = {
      started: started.has(`${requestId}`),
      failed: failed.has(requestId),
      spending: spendingOf(requestId),
    };
    const next = own.length === 0 ? request : rolledUpRequest(request, own, happened, now);
    changes.requests.set(requestId, next);
    written.push(next);
  }
  await writeRequests(trx, written);
  await writeComponentMoves(trx, componentMovesOf(changed, changes.requests), now);
}

function isSameStage(a: StageCounts, b: StageCounts): boolean {
  return (
    a.status === b.status &&
    a.displayStatus === b.displayStatus &&
    a.startTime === b.startTime &&
    a.endTime === b.endTime
  );
}
