import { OnExceeded, OnFailure } from "@howdah/proto/howdah/v1/operation";
import { sum, total, unfinished } from "@howdah/state/counts";
import { exceededBudget } from "@howdah/state/failure-budget";
import { roleFailure } from "@howdah/state/failure-text";
import {
  displayStatus,
  progressPercent,
  requestStatus,
  roleOutcome,
  stageStatus,
} from "@howdah/state/roll-up";
import type { RequestRow } from "../store/request-rows.js";
import type { StageCounts } from "../store/write-roll-up.js";
import { optionsOf } from "./policy.js";
import type { Spending } from "./spent-budget.js";

/** What a stage comes to, given its roles' counts and how long its tasks ran that have just been told of. */
export function rolledUpStage(
  stage: StageCounts,
  ranMs: number | undefined,
  now: number,
): StageCounts {
  const counts = sum(stage.roles.map((role) => role.counts));
  const status = stageStatus(stage.roles);
  const over = unfinished(counts) === 0;
  return {
    ...stage,
    status,
    displayStatus: displayStatus(status, counts),
    ...spanOf(stage, over, ranMs, now),
  };
}

/** When something that consists of tasks began and ended: it took no less than any of them, whatever their hosts' clocks say. */
function spanOf(
  { startTime, endTime }: Pick<StageCounts, "startTime" | "endTime">,
  over: boolean,
  ranMs: number | undefined,
  now: number,
): Pick<StageCounts, "startTime" | "endTime"> {
  const end = over ? endTime || now : 0;
  if (ranMs === undefined) return { startTime, endTime: end };
  const began = Math.max(1, (end || now) - ranMs);
  return { startTime: startTime === 0 ? began : Math.min(startTime, began), endTime: end };
}

/** What has happened in a transaction to a request. */
export interface Happened {
  /** How long the longest of its tasks has run of which something was told; undefined when none of those has started. */
  readonly ranMs: number | undefined;
  /** One of its tasks has ended without success. */
  readonly failed: boolean;
  readonly spending: Spending;
}

/**
 * What a request comes to, given its stages and what has happened to it just now. Under ABORT the failure that a role cannot survive
 * aborts the request at once, and the failure that exceeds its budget pauses or aborts it at once, so that nothing of it is
 * released after that failure has committed.
 */
export function rolledUpRequest(
  request: RequestRow,
  stages: readonly StageCounts[],
  happened: Happened,
  now: number,
): RequestRow {
  const roles = stages.flatMap((stage) => stage.roles);
  const counts = sum(roles.map((role) => role.counts));
  const status = requestStatus(stages.map((stage) => stage.roles));
  const open = unfinished(counts) > 0;
  const aborts = happened.failed && request.onFailure === OnFailure.ABORT;
  const failure = aborts ? failureOf(stages) : undefined;
  const budgetFailures = request.budgetFailures + happened.spending.failures;
  const rolledUp = {
    ...request,
    aborted: request.aborted || failure !== undefined,
    // Said here, since the request may be over before its scheduler has heard of it.
    abortReason: request.abortReason || (failure ?? ""),
    budgetFailures,
    open,
    status,
    displayStatus: displayStatus(status, counts),
    progress: Math.max(request.progress, progressPercent(counts)),
    ...spanOf(request, !open, happened.ranMs, now),
  };
  // What is over waits for nobody.
  if (!open) return { ...rolledUp, paused: false, pauseReason: "" };
  if (happened.spending.failures === 0) return rolledUp;
  return judged(rolledUp, total(counts), happened.spending);
}

/** The first role that cannot succeed any more, in words; undefined while all can. */
function failureOf(stages: readonly StageCounts[]): string | undefined {
  for (const { stageId, roles } of stages) {
    const lost = roles.find((role) => ["failed", "doomed"].includes(roleOutcome(role)));
    if (lost !== undefined) return roleFailure(stageId, lost.role, lost.counts);
  }
  return undefined;
}

/** A request in which tasks have failed, given its budget. */
function judged(request: RequestRow, tasks: number, { batches }: Spending): RequestRow {
  const { rolling } = optionsOf(request);
  if (rolling === undefined) return request;
  const reason = exceededBudget(rolling, { failures: request.budgetFailures, tasks, batches });
  if (reason === undefined) return request;
  return rolling.onExceeded === OnExceeded.ABORT
    ? { ...request, aborted: true, abortReason: request.abortReason || reason }
    : { ...request, paused: true, pauseReason: request.pauseReason || reason };
}
