import { fromBinary } from "@bufbuild/protobuf";
import { RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import { ScheduleSpecSchema } from "@howdah/proto/howdah/v1/schedule";
import type { Knex } from "knex";
import { readSchedules } from "../store/schedules.js";
import { readOpenOptions } from "../store/windows.js";

const shown = 10;

/**
 * Who names a window, in words: schedules, and requests that are not over; undefined when nobody does. Looks at each of them, which is
 * for a person who deletes a window.
 */
export async function needsOfWindow(db: Knex, window: string): Promise<string | undefined> {
  const schedules = (await readSchedules(db))
    .map(({ spec }) => fromBinary(ScheduleSpecSchema, spec))
    .filter(({ options }) => options?.window === window)
    .map(({ name }) => name);
  const requests = (await readOpenOptions(db))
    .filter(({ options }) => fromBinary(RequestOptionsSchema, options).window === window)
    .map(({ requestId }) => String(requestId));
  const parts = [...told("schedule", schedules), ...told("request", requests)];
  return parts.length === 0 ? undefined : parts.join(" and ");
}

function told(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > shown ? ` and ${names.length - shown} more` : "";
  return [`${what}${names.length === 1 ? "" : "s"} ${names.slice(0, shown).join(", ")}${more}`];
}
