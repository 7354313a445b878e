import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type MaintenanceWindow,
  MissedPolicy,
  OverlapPolicy,
  type ScheduleSpec,
} from "@howdah/proto/howdah/v1/schedule";
import { checkDuration, checkNamed } from "../check-options.js";
import { checkPlan, checkText } from "../check-request.js";
import { invalidArgument } from "../invalid-argument.js";
import { CronError, cronTimes, type DueTimes, onceAt } from "./due-times.js";
import { shortestPeriod } from "./window-times.js";

const maxCatchUpSeconds = 2_592_000n;
const maxWindowSeconds = 31_536_000n;

/** Checks the name of a schedule or a window. Throws INVALID_ARGUMENT. */
export function checkName(field: string, name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/.test(name)) return;
  const shown = name === "" ? "is empty" : `"${name.slice(0, 80)}" will not do`;
  throw invalidArgument(
    field,
    `${shown}; give 1 to 80 letters, digits, dots, dashes and underscores, the first one a letter or digit`,
  );
}

/**
 * Checks what a schedule runs, as far as that needs no store, and when.
 * @returns its due times
 * @throws ConnectError INVALID_ARGUMENT naming the field
 */
export function checkSpec(spec: ScheduleSpec, nowMs: number): DueTimes {
  checkName("spec.name", spec.name);
  checkText("spec.context", spec.context);
  checkNamed("spec.missed", MissedPolicy, spec.missed);
  checkNamed("spec.overlap", OverlapPolicy, spec.overlap);
  checkDuration("spec.catch_up_within", spec.catchUpWithin, 1n, maxCatchUpSeconds);
  if (spec.catchUpWithin !== undefined && spec.missed !== MissedPolicy.RUN_ONCE) {
    throw invalidArgument("spec.catch_up_within", "says nothing without missed RUN_ONCE");
  }
  const times = checkTimes(spec, nowMs);
  checkPlan(spec);
  return times;
}

function checkTimes(spec: ScheduleSpec, nowMs: number): DueTimes {
  const { at, cron, timeZone } = spec;
  if (at !== undefined && cron !== "") {
    throw invalidArgument("spec.at", "and spec.cron are both given; give one of them");
  }
  if (at !== undefined) {
    if (timeZone !== "") {
      throw invalidArgument("spec.time_zone", "goes with cron; at is a time in itself");
    }
    const atMs = timestampMs(at);
    if (!(atMs > nowMs)) {
      throw invalidArgument("spec.at", `${spokenTime(atMs)} has passed; give a time to come`);
    }
    return onceAt(atMs);
  }
  if (cron === "") {
    throw invalidArgument(
      "spec.at",
      "and spec.cron are both empty; say when it runs by one of them",
    );
  }
  return readCron("spec", spec, nowMs);
}

/**
 * Checks a maintenance window.
 * @throws ConnectError INVALID_ARGUMENT naming the field
 */
export function checkWindow(window: MaintenanceWindow, nowMs: number): void {
  checkName("window.name", window.name);
  const starts = readCron("window", window, nowMs);
  const { duration } = window;
  if (duration === undefined) throw invalidArgument("window.duration", "is not set");
  checkDuration("window.duration", duration, 1n, maxWindowSeconds);
  const periodMs = shortestPeriod(starts, nowMs);
  const ms = durationMs(duration);
  if (ms <= periodMs) return;
  throw invalidArgument(
    "window.duration",
    `${ms / 1_000} s is longer than the ${periodMs / 1_000} s from one opening to the next; shorten it, or open it less often`,
  );
}

function readCron(
  message: string,
  { cron, timeZone }: { readonly cron: string; readonly timeZone: string },
  nowMs: number,
): DueTimes {
  const times = inFields(message, () => cronTimes(cron, timeZone));
  if (times.next(nowMs) !== undefined) return times;
  throw invalidArgument(`${message}.cron`, `"${cron}" never comes; there is no such date`);
}

function inFields<T>(message: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CronError)) throw error;
    throw invalidArgument(`${message}.${error.part}`, error.message);
  }
}

/** "2026-11-22T03:00:00Z" */
function spokenTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString().replace(".000Z", "Z");
}
