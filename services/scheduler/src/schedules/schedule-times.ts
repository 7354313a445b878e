import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { MissedPolicy, type ScheduleSpec } from "@howdah/proto/howdah/v1/schedule";
import { CronError, cronTimes, type DueTimes, onceAt } from "./due-times.js";

const never: DueTimes = { next: () => undefined };

/** The due times of a schedule that was checked; none when its cron line or time zone can be read no more, as after an upgrade. */
export function timesOf({ at, cron, timeZone }: ScheduleSpec): DueTimes {
  if (at !== undefined) return onceAt(timestampMs(at));
  try {
    return cronTimes(cron, timeZone);
  } catch (error) {
    if (error instanceof CronError) return never;
    throw error;
  }
}

/** How late a run of the schedule may be. `latenessMs`: what is on time all the same. */
export function latestMs({ missed, catchUpWithin }: ScheduleSpec, latenessMs: number): number {
  if (missed !== MissedPolicy.RUN_ONCE) return latenessMs;
  if (catchUpWithin === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(latenessMs, durationMs(catchUpWithin));
}

/** Whether two schedules have the same due times. */
export function sameTimes(a: ScheduleSpec, b: ScheduleSpec): boolean {
  const once = ({ at }: ScheduleSpec) => (at === undefined ? undefined : timestampMs(at));
  return once(a) === once(b) && a.cron === b.cron && a.timeZone === b.timeZone;
}
