import type { Request, Stage } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  countsPhrase,
  elapsed,
  endedCount,
  isFailure,
  oneLine,
  requestWord,
  roleCommandWord,
  someNames,
  statusWord,
} from "../text/words.js";
import { createParkedNews, parkedOf } from "./parked.js";

/** What a stage does: "START MARIADB_PRIMARY, MARIADB_REPLICA". */
export function stageTitle({ roles }: Stage): string {
  const byCommand = new Map<string, string[]>();
  for (const { role, roleCommand, customCommand } of roles) {
    const command = roleCommandWord(roleCommand, customCommand);
    byCommand.set(command, [...(byCommand.get(command) ?? []), role]);
  }
  return Array.from(byCommand, ([command, names]) => `${command} ${someNames(names, 4)}`).join(
    ", ",
  );
}

/**
 * The lines of a terminal for a request under way: one for itself, what waits for a person, which hosts and what else is waited for, one
 * for each stage that fits.
 */
export function progressView(
  request: Request,
  stages: readonly Stage[],
  {
    rows,
    nowMs,
    awayLine = "",
    waitLine = "",
  }: { rows: number; nowMs: number; awayLine?: string; waitLine?: string },
): string[] {
  const filled = Math.round(request.progressPercent / 5);
  const bar = `${"█".repeat(filled)}${"░".repeat(20 - filled)}`;
  const time = elapsed(request.times, nowMs);
  const head = `Request ${request.requestId} ${oneLine(request.context)}`.trimEnd();
  const parked = parkedOf(request).flatMap(({ what, wayOut }) => [`  ${what}`, `  ${wayOut}`]);
  const waits = [awayLine, waitLine].filter((line) => line !== "").map((line) => `  ${line}`);
  const notes = [...parked, ...waits];
  return [
    `${head}  ${bar} ${request.progressPercent} %  ${countsPhrase(request.counts)}  ${time}`.trimEnd(),
    ...notes,
    ...stageLines(stages, Math.max(1, rows - 2 - notes.length), nowMs),
  ];
}

/** The stages around the one that runs, and how many are left out before and after. */
function stageLines(stages: readonly Stage[], room: number, nowMs: number): string[] {
  if (stages.length <= room) return stages.map((stage) => stageLine(stage, nowMs));
  const running = stages.findIndex(({ status }) => !isEnded(status));
  const at = running === -1 ? stages.length - 1 : running;
  const first = Math.max(0, Math.min(at - 1, stages.length - room + 2));
  const shown = stages.slice(first, first + Math.max(1, room - 2));
  const after = stages.length - first - shown.length;
  return [
    ...(first > 0 ? [`  ${first} before`] : []),
    ...shown.map((stage) => stageLine(stage, nowMs)),
    ...(after > 0 ? [`  ${after} to come`] : []),
  ];
}

function stageLine(stage: Stage, nowMs: number): string {
  const { counts, status, times } = stage;
  const done = `${endedCount(counts)}/${counts?.total ?? 0}`;
  const detail = isEnded(status) && !isFailure(stage.displayStatus) ? "" : countsPhrase(counts);
  const parts = [
    `  ${mark(stage)} ${stage.stageId + 1}  ${stageTitle(stage)}`,
    done,
    ...(status === Status.PENDING ? [] : [detail, elapsed(times, nowMs)]),
  ];
  return parts.filter((part) => part !== "").join("  ");
}

function mark({ status, displayStatus }: Stage): string {
  if (isFailure(displayStatus)) return "✗";
  if (status === Status.ABORTED) return "-";
  if (status === Status.COMPLETED) return "✓";
  return status === Status.PENDING ? "·" : "▸";
}

/** Whether a stage in this status is done. */
export function isEnded(status: Status): boolean {
  return (
    status === Status.COMPLETED ||
    status === Status.ABORTED ||
    status === Status.FAILED ||
    status === Status.TIMEDOUT ||
    status === Status.SKIPPED_FAILED ||
    status === Status.UNKNOWN
  );
}

/** How often a stage that goes on is told of. */
const newsEveryMs = 5_000;

/**
 * Tells a request's progress in lines that stay: one when a stage starts, one when it ends, and in a long stage one at
 * each tenth of the request, at most every five seconds; and what waits for a person. Returns the lines that are new since
 * the call before.
 */
export function createProgressLines(): (
  request: Request,
  stages: readonly Stage[],
  nowMs?: number,
) => string[] {
  const told = new Map<number, string>();
  const parkedNews = createParkedNews();
  let tenth = 0;
  let toldAtMs = 0;
  return (request, stages, nowMs = Date.now()) => {
    const lines: string[] = [];
    for (const stage of stages) {
      const state = stageState(stage);
      if (state === "pending" || told.get(stage.stageId) === state) continue;
      told.set(stage.stageId, state);
      const title = `stage ${stage.stageId + 1}/${stages.length} ${stageTitle(stage)}`;
      lines.push(`${title}: ${stageNews(stage)}`);
    }
    lines.push(...parkedNews(request));
    const now = Math.floor(request.progressPercent / 10);
    const due = nowMs - toldAtMs >= newsEveryMs && now > tenth && request.progressPercent < 100;
    if (lines.length === 0 && due) {
      lines.push(`${request.progressPercent} %: ${countsPhrase(request.counts)}`);
    }
    if (lines.length > 0) {
      tenth = now;
      toldAtMs = nowMs;
    }
    return lines;
  };
}

function stageState({ status }: Stage): string {
  if (status === Status.PENDING) return "pending";
  return isEnded(status) ? statusWord(status) : "started";
}

function stageNews(stage: Stage): string {
  if (!isEnded(stage.status)) return `started, ${countsPhrase(stage.counts)}`;
  const time = elapsed(stage.times);
  return `${statusWord(stage.status)}, ${countsPhrase(stage.counts)}${time && `, ${time}`}`;
}

/** What became of a request, in a line: "Request 7 (Start MARIADB) COMPLETED: 5 completed, 12 s". */
export function outcomeLine(request: Request): string {
  const title = request.context ? ` (${oneLine(request.context)})` : "";
  const time = elapsed(request.times);
  const reason = request.abortReason && `; ${request.abortReason}`;
  return `Request ${request.requestId}${title} ${requestWord(request)}: ${countsPhrase(request.counts)}${time && `, ${time}`}${reason}`;
}
