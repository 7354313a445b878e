import { durationMs } from "@bufbuild/protobuf/wkt";
import type { MaintenanceWindow } from "@howdah/proto/howdah/v1/schedule";
import { invalid } from "../invalid.js";

const longestOutcome = 1_000;

/** The value of a field that must be set. */
export function required<T>(field: string, value: T | undefined): T {
  if (value === undefined) throw invalid(field, "", "is not set");
  return value;
}

/** Checks the name of a schedule or a window. */
export function checkName(field: string, name: string): void {
  if (name.length < 1 || name.length > 80) throw invalid(field, name, "has not 1 to 80 characters");
}

/** Checks what became of a due time. */
export function checkOutcomeText(text: string): void {
  if (text.length <= longestOutcome) return;
  throw invalid("last_outcome_text", text, `is longer than ${longestOutcome} characters`);
}

/** Checks that a window can be kept; whether it makes sense is the scheduler's to say. */
export function checkWindow({ name, cron, timeZone, duration }: MaintenanceWindow): void {
  checkName("window.name", name);
  if (cron.length > 255) throw invalid("window.cron", cron, "is longer than 255 characters");
  if (timeZone.length > 64) {
    throw invalid("window.time_zone", timeZone, "is longer than 64 characters");
  }
  const ms = duration === undefined ? 0 : durationMs(duration);
  if (!(ms > 0 && ms <= Number.MAX_SAFE_INTEGER)) {
    throw invalid("window.duration", `${ms} ms`, "is no duration");
  }
}
