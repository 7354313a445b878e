import type { Request } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { failedCount, plural } from "../text/words.js";

/** Something of a request that waits for a person. */
export interface Parked {
  /** What waits, and why. */
  readonly what: string;
  /** The commands that decide. */
  readonly wayOut: string;
}

/** What of a request waits for a person; nothing while it goes on by itself. */
export function parkedOf(request: Request): Parked[] {
  const { requestId, counts, paused, pauseReason, options } = request;
  const parked: Parked[] = [];
  if (paused) {
    const reason = pauseReason && `: ${pauseReason}`;
    const wayOut = `howdah resume ${requestId} goes on, howdah cancel ${requestId} ends it`;
    parked.push({ what: `PAUSED${reason}`, wayOut });
  }
  const failed = (counts?.holdingFailed ?? 0) + (counts?.holdingTimedout ?? 0);
  if (failed > 0) {
    parked.push({
      what: `HOLDING: ${plural(failed, "task")} that failed ${failed === 1 ? "waits" : "wait"} for a person`,
      wayOut: `howdah resolve ${requestId} --retry runs what failed again, --skip goes on without, --abort gives up`,
    });
  }
  const steps = counts?.holding ?? 0;
  if (steps > 0) {
    const text = options?.confirm && `: ${options.confirm}`;
    parked.push({
      what: `HOLDING: ${plural(steps, "manual step")} ${steps === 1 ? "waits" : "wait"} for a person${text || ""}`,
      wayOut: `howdah resolve ${requestId} --skip says that it is done, --abort gives up`,
    });
  }
  return parked;
}

/** What of a request waits for a person and the commands that decide, in a line each. */
export function parkedLines(request: Request): string[] {
  return parkedOf(request).map(({ what, wayOut }) => `${what}; ${wayOut}`);
}

/** As `parkedLines`; of a request that is over and did not end well, how to run it again. Not of one that a person cancelled. */
export function wayOutLines(request: Request): string[] {
  const { requestId, status, progressPercent, cancelRequested } = request;
  const isOver = progressPercent === 100;
  if (!isOver || cancelRequested || status === Status.COMPLETED) return parkedLines(request);
  return [`howdah retry ${requestId} runs again what is not done`];
}

/**
 * Whether a request has spent its failure budget and all that was under way has ended: nothing more happens until a person
 * decides. False for one that a person paused, who knows of it.
 */
export function isOutOfBudget({ paused, options, counts }: Request): boolean {
  const { maxFailures, maxFailurePercent, maxBatchFailures } = options?.rolling ?? {};
  const budgets = [maxFailures, maxFailurePercent, maxBatchFailures];
  const underWay = (counts?.queued ?? 0) + (counts?.inProgress ?? 0);
  return (
    paused &&
    underWay === 0 &&
    failedCount(counts) > 0 &&
    budgets.some((budget) => budget !== undefined)
  );
}

/** Tells, in lines that stay, when something of a request begins to wait for a person, and when nothing does any more. */
export function createParkedNews(): (request: Request) => string[] {
  let told = "";
  return (request) => {
    const parked = parkedLines(request);
    const text = parked.join("\n");
    if (text === told) return [];
    const before = told;
    told = text;
    if (parked.length > 0) return parked;
    return before === "" ? [] : [`request ${request.requestId} goes on`];
  };
}
