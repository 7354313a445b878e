import { Cron } from "croner";

/** The times at which something is due, in milliseconds since 1970. */
export interface DueTimes {
  /** The first one after this time; undefined when there is none. */
  next(afterMs: number): number | undefined;
}

/** Due times that have passed. */
export interface Passed {
  readonly lastMs: number;
  /** How many there were before the last one; `mostCounted` stands for that many or more. */
  readonly earlier: number;
}

/** Thrown when a cron line or a time zone cannot be read. The message says what is wrong with it, without naming the field. */
export class CronError extends Error {
  override readonly name = "CronError";
  constructor(
    readonly part: "cron" | "time_zone",
    message: string,
  ) {
    super(message);
  }
}

/** How many passed due times are counted at most. */
export const mostCounted = 1_000;

const longestLine = 255;

/** Due once. */
export function onceAt(atMs: number): DueTimes {
  return { next: (afterMs) => (afterMs < atMs ? atMs : undefined) };
}

/**
 * Due by a cron line of five fields, or six with the second first, in a time zone by its IANA name ("" for UTC). Whether minute and hour
 * are free of `*` and steps says what a clock change means: see ScheduleSpec.time_zone.
 * @throws CronError
 */
export function cronTimes(line: string, timeZone: string): DueTimes {
  checkTimeZone(timeZone);
  const fields = line.trim().split(/\s+/);
  if (line.length > longestLine) {
    throw new CronError(
      "cron",
      `has ${line.length} characters; at most ${longestLine} are allowed`,
    );
  }
  if (fields.length !== 5 && fields.length !== 6) {
    throw new CronError(
      "cron",
      `"${line}" has ${line.trim() === "" ? "no" : fields.length} fields; give five: minute, hour, day of the month, month, day of the week; or six with the second before them`,
    );
  }
  const cron = readCron(line, timeZone || "UTC");
  return {
    next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime(),
  };
}

function readCron(line: string, timezone: string): Cron {
  try {
    // Paused: it only answers when, the timers are ours.
    return new Cron(line, { timezone, paused: true, fixedTimeRule: "no-wildcard" });
  } catch (error) {
    const problem = (error as Error).message.replace(/^Cron\w+: /, "");
    throw new CronError("cron", `"${line}" cannot be read: ${problem}`);
  }
}

function checkTimeZone(timeZone: string): void {
  if (timeZone === "") return;
  try {
    // Newer versions of Node take offsets too, which know no summer time.
    if (!/^[A-Za-z]/.test(timeZone)) throw new RangeError();
    new Intl.DateTimeFormat("en", { timeZone });
  } catch {
    throw new CronError(
      "time_zone",
      `"${timeZone.slice(0, 64)}" is no time zone; give an IANA name such as Europe/Berlin or UTC`,
    );
  }
}

/** The due times after the one time, up to and with the other; undefined when there is none. Cheap, however many there are. */
export function passedTimes(times: DueTimes, afterMs: number, untilMs: number): Passed | undefined {
  const first = times.next(afterMs);
  if (first === undefined || first > untilMs) return undefined;
  const isBeforeLast = (ms: number) => (times.next(ms) ?? Number.POSITIVE_INFINITY) <= untilMs;
  let [before, from] = [first - 1, untilMs];
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2);
    if (isBeforeLast(middle)) before = middle;
    else from = middle;
  }
  const lastMs = times.next(before) ?? first;
  let earlier = 0;
  for (let at = first; at < lastMs && earlier < mostCounted; earlier += 1) {
    at = times.next(at) ?? lastMs;
  }
  return { lastMs, earlier };
}
