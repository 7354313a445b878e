import { type DestinationStream, type Logger, pino } from "pino";

/** The levels of the setting HOWDAH_LOG_LEVEL, most first. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** What is never written to a log, one level deep in whatever is logged. */
const secrets = [
  "password",
  "secret",
  "token",
  "authorization",
  "cookie",
  "privateKey",
  "databaseUrl",
];

/** How to make a process's logger. */
export interface LogOptions {
  /** The process's name: "scheduler". */
  service: string;
  /** Which of several such processes. */
  instance: string;
  /** Default "info". */
  level?: (typeof logLevels)[number];
  /** Default stdout, written at once, so that nothing is lost when the process ends. */
  destination?: DestinationStream;
}

/** The logger of a process: one JSON object a line, with `service` and `instance`; secrets are masked. */
export function createLog({ service, instance, level = "info", destination }: LogOptions): Logger {
  const options = {
    level,
    base: { service, instance },
    redact: { paths: secrets.flatMap((name) => [name, `*.${name}`]), censor: "********" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
