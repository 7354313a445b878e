import type { RequestAbort, RequestPause } from "@howdah/proto/howdah/v1/store_transitions";
import type { RequestRow } from "../store/request-rows.js";

/** Marks a request as aborted or cancelled. One that is over stays as it is. */
export function markAborted(request: RequestRow, abort: RequestAbort): RequestRow {
  if (!request.open) return request;
  return {
    ...request,
    aborted: true,
    cancelRequested: request.cancelRequested || abort.cancelled,
    // The first reason is the one that stopped it.
    abortReason: request.abortReason || shortened(abort.reason),
  };
}

/** Pauses a request, or lets it go on with a fresh failure budget. One that is over stays as it is. */
export function markPaused(request: RequestRow, { paused, reason }: RequestPause): RequestRow {
  if (!request.open || request.paused === paused) return request;
  return paused
    ? { ...request, paused, pauseReason: shortened(reason) }
    : { ...request, paused, pauseReason: "", budgetFailures: 0 };
}

/** A request that is over, at the beginning of its next run; how long it takes counts anew. */
export function nextRun(request: RequestRow): RequestRow {
  return {
    ...request,
    open: true,
    run: request.run + 1,
    progress: 0,
    cancelRequested: false,
    aborted: false,
    abortReason: "",
    paused: false,
    pauseReason: "",
    budgetFailures: 0,
    startTime: 0,
    endTime: 0,
  };
}

/** Whether the request's failure budget starts again. */
export function isFreshBudget(before: RequestRow, after: RequestRow): boolean {
  return after.run > before.run || (before.paused && !after.paused);
}

/** A reason as it fits its column. */
export function shortened(reason: string): string {
  return reason.slice(0, 255);
}
