import { Status } from "@howdah/proto/howdah/v1/status";
import { componentMovesOf } from "../components/component-moves.js";
import { wishesOf } from "../components/desired-states.js";
import type { Transaction } from "../database/together.js";
import type { RequestRow } from "../store/request-rows.js";
import type { ChangedTask, TaskRow } from "../store/task-rows.js";
import { moveWrites, wishWrites } from "../store/write-component-states.js";
import {
  movedStages,
  requestWrites,
  type StageCounts,
  stageWrites,
} from "../store/write-roll-up.js";
import { attemptWrites, counterWrites, roleMoves } from "../store/write-task-changes.js";
import { taskWrites } from "../store/write-tasks.js";
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
 * of statements, whatever the number of tasks, which go along with COMMIT: what they come to follows from what was read under the lock.
 * `changes.requests` has the requests as they are then.
 */
export async function writeChanges(
  trx: Transaction,
  changes: ChangeSet,
  now: number,
): Promise<void> {
  const changed = changes.changed();
  const moved = changed.filter(({ before, after }) => before.status !== after.status);
  const movedRequests = new Set(moved.map(({ after }) => after.requestId));
  const ran = runningTimes(moved, changes, now);
  const failed = new Set(
    moved.filter(({ after }) => failures.has(after.status)).map(({ after }) => after.requestId),
  );
  // What a further run runs again: how long it took counts from there.
  const again = new Set(
    moved
      .filter(({ after: { requestId } }) => isNextRun(changes, requestId))
      .map(({ after }) => `${after.requestId}/${after.stageId}`),
  );
  const moves = roleMoves(moved);
  const stages = movedStages(
    changes.stages.filter(({ requestId }) => movedRequests.has(requestId)),
    moves,
  );
  const newStages = stages.flatMap((stage) => {
    const name = `${stage.requestId}/${stage.stageId}`;
    const from = again.has(name) ? { ...stage, startTime: 0, endTime: 0 } : stage;
    const next = rolledUpStage(from, ran.get(name), now);
    return isSameStage(stage, next) ? [] : [next];
  });
  const spendingOf = await spendBudgets(trx, changes);
  const written: RequestRow[] = [];
  for (const [requestId, request] of changes.requests) {
    const own = stages.filter((stage) => stage.requestId === requestId);
    const happened = {
      ranMs: ran.get(`${requestId}`),
      failed: failed.has(requestId),
      spending: spendingOf(requestId),
    };
    const next = own.length === 0 ? request : rolledUpRequest(request, own, happened, now);
    changes.requests.set(requestId, next);
    written.push(next);
  }
  // Who has a command run again wants what it makes of its component, whatever was asked for since.
  const retried = moved.filter(
    ({ after }) => after.status === Status.PENDING && isNextRun(changes, after.requestId),
  );
  trx.later([
    ...counterWrites(moves),
    ...taskWrites(changed),
    ...attemptWrites(changes.superseded),
    ...stageWrites(newStages),
    ...requestWrites(written),
    ...moveWrites(componentMovesOf(changed, changes.requests), now),
    ...wishWrites(wishesOf(retried, changes.requests)),
  ]);
}

function isNextRun({ requests, requestBefore }: ChangeSet, requestId: number): boolean {
  return (requests.get(requestId)?.run ?? 0) > (requestBefore(requestId)?.run ?? 0);
}

/** How long the longest of the tasks has run that moved, of each request and of each stage ("7", "7/2") where one has started. */
function runningTimes(
  moved: readonly ChangedTask[],
  changes: ChangeSet,
  now: number,
): Map<string, number> {
  const ran = new Map<string, number>();
  // An attempt that another follows at once counts too, but not one of a former run.
  const former = changes.superseded.filter(({ requestId }) => !isNextRun(changes, requestId));
  for (const task of [...moved.map(({ after }) => after), ...former]) {
    const ms = ranMs(task, now);
    if (ms === undefined) continue;
    for (const name of [`${task.requestId}`, `${task.requestId}/${task.stageId}`]) {
      ran.set(name, Math.max(ms, ran.get(name) ?? 0));
    }
  }
  return ran;
}

/** What a task's end says without its agent's word on when it started: that it ran. */
const ranToAnEnd: ReadonlySet<Status> = new Set([
  Status.COMPLETED,
  Status.FAILED,
  Status.TIMEDOUT,
  Status.HOLDING_FAILED,
  Status.HOLDING_TIMEDOUT,
  Status.SKIPPED_FAILED,
]);

/** How long a task has run: by its agent's clock where that told both its start and its end, otherwise since its release. */
function ranMs(task: TaskRow, now: number): number | undefined {
  if (task.startTime > 0) return Math.max(0, task.endTime && task.endTime - task.startTime);
  const isToldEnd = task.reportTime > 0 && ranToAnEnd.has(task.status);
  return isToldEnd && task.queueTime > 0 ? Math.max(0, now - task.queueTime) : undefined;
}

function isSameStage(a: StageCounts, b: StageCounts): boolean {
  return (
    a.status === b.status &&
    a.displayStatus === b.displayStatus &&
    a.startTime === b.startTime &&
    a.endTime === b.endTime
  );
}
