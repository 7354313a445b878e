import { OnFailure } from "@howdah/proto/howdah/v1/operation";
import { sum, unfinished } from "@howdah/state/counts";
import {
  displayStatus,
  progressPercent,
  requestStatus,
  roleOutcome,
  stageStatus,
} from "@howdah/state/roll-up";
import type { RequestRow } from "./store/request-rows.js";
import type { StageCounts } from "./store/write-roll-up.js";

/** What a stage comes to, given its roles' counts. `started`: one of its tasks has started by now. */
export function rolledUpStage(stage: StageCounts, started: boolean, now: number): StageCounts {
  const counts = sum(stage.roles.map((role) => role.counts));
  const status = stageStatus(stage.roles);
  const over = unfinished(counts) === 0;
  return {
    ...stage,
    status,
    displayStatus: displayStatus(status, counts),
    startTime: stage.startTime || (started ? now : 0),
    endTime: over ? stage.endTime || now : 0,
  };
}

/**
 * What a request comes to, given its stages and whether one of its tasks has started or failed just now. A request that is over when a task waits again begins its next run: what stopped the last one is
 * forgotten, and progress starts again. Under ABORT the failure that a role cannot survive aborts the request at once, so that
 * nothing of it is released after that failure has committed; the scheduler tells the reason later.
 */
export function rolledUpRequest(
  request: RequestRow,
  stages: readonly StageCounts[],
  happened: { readonly started: boolean; readonly failed: boolean },
  now: number,
): RequestRow {
  const roles = stages.flatMap((stage) => stage.roles);
  const counts = sum(roles.map((role) => role.counts));
  const status = requestStatus(stages.map((stage) => stage.roles));
  const open = unfinished(counts) > 0;
  const nextRun = open && !request.open;
  const failed =
    happened.failed &&
    abortsOnFailure(request.onFailure) &&
    roles.some((role) => ["failed", "doomed"].includes(roleOutcome(role)));
  return {
    ...request,
    ...(nextRun ? { run: request.run + 1, cancelRequested: false, abortReason: "" } : {}),
    aborted: !nextRun && (request.aborted || failed),
    open,
    status,
    displayStatus: displayStatus(status, counts),
    progress: Math.max(nextRun ? 0 : request.progress, progressPercent(counts)),
    startTime: request.startTime || (happened.started ? now : 0),
    endTime: open ? 0 : request.endTime || now,
  };
}

function abortsOnFailure(onFailure: OnFailure): boolean {
  return onFailure === OnFailure.ABORT || onFailure === OnFailure.UNSPECIFIED;
}
