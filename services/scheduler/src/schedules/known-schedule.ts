import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Schedule, ScheduleSchema, type ScheduleSpec } from "@howdah/proto/howdah/v1/schedule";
import type { StoredSchedule } from "@howdah/proto/howdah/v1/store_schedules";
import type { DueTimes } from "./due-times.js";
import { timesOf } from "./schedule-times.js";

/** A schedule as the store has it, and its due times. */
export interface KnownSchedule {
  readonly name: string;
  readonly schedule: Schedule;
  readonly spec: ScheduleSpec;
  /** Due times up to here do not count any more. */
  readonly countedUntilMs: number;
  /** The last due time that was dealt with; 0 before the first. */
  readonly lastDueMs: number;
  readonly times: DueTimes;
}

/** Reads what the store says of a schedule. */
export function knownSchedule({ schedule, countedUntilMs }: StoredSchedule): KnownSchedule {
  if (schedule?.spec === undefined) {
    throw new ConnectError("the store's answer has a schedule that is empty", Code.Internal);
  }
  const { spec, lastDueAt } = schedule;
  return {
    name: spec.name,
    schedule,
    spec,
    countedUntilMs: Number(countedUntilMs),
    lastDueMs: lastDueAt === undefined ? 0 : timestampMs(lastDueAt),
    times: timesOf(spec),
  };
}

/** When it is due next; undefined while it is paused, and when it never is again. */
export function nextDueMs({ schedule, times, countedUntilMs }: KnownSchedule): number | undefined {
  return schedule.enabled ? times.next(countedUntilMs) : undefined;
}

/** A schedule as people see it. */
export function scheduleView(known: KnownSchedule): Schedule {
  const nextMs = nextDueMs(known);
  const nextDueAt = nextMs === undefined ? undefined : timestampFromMs(nextMs);
  return create(ScheduleSchema, { ...known.schedule, ...(nextDueAt && { nextDueAt }) });
}
