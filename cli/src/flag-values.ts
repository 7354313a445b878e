// Values of options that are read when all options are known, so that each error is one line and nothing was sent.
import type { Duration } from "@bufbuild/protobuf/wkt";
import { parseDuration } from "@howdah/service/duration";
import { CliError } from "./cli-error.js";
import { ExitCode } from "./exit-code.js";
import { toDuration } from "./leaf-command.js";

/** Wrong usage: a value that an option cannot have. */
export function badValue(option: string, value: string, problem: string): CliError {
  return new CliError(`${option}: "${value}" ${problem}`, ExitCode.usage);
}

/** Reads a whole number. Throws CliError for anything else, or one out of bounds. */
export function readCount(option: string, text: string, least: number, most: number): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < least || Number(text) > most) {
    throw badValue(option, text, `is no whole number from ${least} to ${most}`);
  }
  return Number(text);
}

/** Reads "20" or "10%". Throws CliError for anything else, less than `least`, or more than 100 %. */
export function readAmount(
  option: string,
  text: string,
  least: number,
): { count: number; percent: boolean } {
  const [, digits, sign] = /^(\d{1,7})(%?)$/.exec(text) ?? [];
  if (digits === undefined) {
    throw badValue(option, text, "will not do; write a whole number, or a share such as 10%");
  }
  const count = Number(digits);
  const percent = sign === "%";
  if (count < least) throw badValue(option, text, `is less than ${least}`);
  if (percent && count > 100) throw badValue(option, text, "is more than 100%");
  return { count, percent };
}

/** Reads "30s". Throws CliError for anything else. */
export function readDuration(option: string, text: string): Duration {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0) {
    throw badValue(option, text, "is no duration; write it as 30s, 5m or 2h");
  }
  return toDuration(ms);
}

/** Reads a share from 0 to 1. Throws CliError for anything else. */
export function readShare(option: string, text: string): number {
  if (!/^(0|1|0?\.\d+|[01]\.\d+)$/.test(text) || Number(text) > 1) {
    throw badValue(option, text, "is no share from 0 to 1, such as 0.8");
  }
  return Number(text);
}
