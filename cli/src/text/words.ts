import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Times } from "@howdah/proto/howdah/v1/operation";
import type { Request, TaskCounts } from "@howdah/proto/howdah/v1/request";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";

/** "1 host", "3 hosts". */
export function plural(count: number | bigint, one: string, many = `${one}s`): string {
  return `${count} ${Number(count) === 1 ? one : many}`;
}

/** "23 ms", "1.4 s", "12 s", "3 min 20 s", "2 h 5 min". */
export function spokenMs(ms: number): string {
  if (ms < 950) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60)
    return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** How long something took, or takes since it started; empty before. */
export function elapsed(times: Times | undefined, nowMs = Date.now()): string {
  if (times?.startedAt === undefined) return "";
  const end = times.endedAt === undefined ? nowMs : timestampMs(times.endedAt);
  return spokenMs(end - timestampMs(times.startedAt));
}

/** As elapsed, of a task; empty for one that is UNKNOWN, since nobody knows when it ended, or whether it has. */
export function taskTook({ status, times }: { status: Status; times?: Times | undefined }): string {
  return status === Status.UNKNOWN && times?.endedAt === undefined ? "" : elapsed(times);
}

/** "2026-03-01 14:05:09", by this machine's clock and zone; empty for what has not been. */
export function localTime(timestamp: Timestamp | undefined): string {
  return timestamp === undefined ? "" : localTimeMs(timestampMs(timestamp));
}

/** As localTime, for milliseconds since 1970. */
export function localTimeMs(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  const time = [two(date.getHours()), two(date.getMinutes()), two(date.getSeconds())].join(":");
  return `${day} ${time}`;
}

/** The name of a status, as the protos have it: "IN_PROGRESS". */
export function statusWord(status: Status): string {
  return Status[status] ?? String(status);
}

/** The name of a verb, or of the custom command: "START". */
export function roleCommandWord(command: RoleCommand, custom = ""): string {
  return custom || (RoleCommand[command] ?? String(command));
}

/** The status of a request, or PAUSED where nothing of it is released. */
export function requestWord({ paused, status }: Pick<Request, "paused" | "status">): string {
  return paused ? "PAUSED" : statusWord(status);
}

/** Whether a request, stage or task in this status did not end well. */
export function isFailure(status: Status): boolean {
  return failures.includes(status);
}

/** The statuses of tasks that went wrong, or that nobody knows about. */
export const failures: readonly Status[] = [
  Status.FAILED,
  Status.HOLDING_FAILED,
  Status.TIMEDOUT,
  Status.HOLDING_TIMEDOUT,
  Status.SKIPPED_FAILED,
  Status.UNKNOWN,
];

/** How many tasks went wrong. */
export function failedCount(counts: TaskCounts | undefined): number {
  if (counts === undefined) return 0;
  const { failed, holdingFailed, timedout, holdingTimedout, skippedFailed, unknown } = counts;
  return failed + holdingFailed + timedout + holdingTimedout + skippedFailed + unknown;
}

/** How many tasks have ended, well or not. */
export function endedCount(counts: TaskCounts | undefined): number {
  if (counts === undefined) return 0;
  const { completed, failed, timedout, aborted, skippedFailed, unknown } = counts;
  return completed + failed + timedout + aborted + skippedFailed + unknown;
}

/** "3 completed, 1 failed, 2 running": every status that some task has, in the order of a task's life. */
export function countsPhrase(counts: TaskCounts | undefined): string {
  if (counts === undefined) return "";
  const parts: [number, string][] = [
    [counts.completed, "completed"],
    [counts.failed, "failed"],
    [counts.timedout, "timed out"],
    [counts.skippedFailed, "failed and skipped"],
    [counts.unknown, "unknown"],
    [counts.aborted, "aborted"],
    [counts.holding + counts.holdingFailed + counts.holdingTimedout, "waiting for a person"],
    [counts.inProgress, "running"],
    [counts.queued, "queued"],
    [counts.pending, "pending"],
  ];
  const told = parts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return told.join(", ") || "no tasks";
}

/** The first names and how many more there are: "web-1, web-2, web-3 and 97 more". */
export function someNames(names: readonly string[], limit = 3): string {
  if (names.length <= limit + 1) return names.join(", ");
  return `${names.slice(0, limit).join(", ")} and ${names.length - limit} more`;
}

/** A text of several lines, such as a script, in one. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, " ").trim();
}

/** Cuts a line to a width, with a mark where something was cut. */
export function cut(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}
