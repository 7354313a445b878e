import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { type CommandUnknownOpts, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { parseDuration } from "@howdah/service/duration";
import { ExitCode } from "./exit-code.js";
import type { Io } from "./io.js";
import { defaultServer, openSession, type Session } from "./session.js";
import type { Submission } from "./submit.js";

/** One run of the command line. */
export interface Run {
  readonly io: Io;
  /** What the process will exit with; commands set it. */
  exitCode: number;
  /** What becomes of an operation instead of being submitted; absent when it is. */
  readonly take?: (submission: Submission) => Promise<void>;
}

/** A new run, well until told otherwise. */
export function newRun(io: Io): Run {
  return { io, exitCode: ExitCode.ok };
}

/** Adds a verb that speaks to the server, with the options that all such verbs have. */
export function leafCommand(parent: CommandUnknownOpts, name: string, summary: string) {
  return parent
    .command(name)
    .summary(summary)
    .description(summary)
    .option("--server <url>", `where the gateway is (HOWDAH_SERVER; default ${defaultServer})`)
    .addOption(outputOption());
}

/** The option that says who reads the answer. */
export function outputOption() {
  return new Option("--output <format>", "text for people, json for programs").choices([
    "text",
    "json",
  ] as const);
}

/** The session that a verb's options ask for; options before the verb count where the verb has none. */
export function sessionOf(run: Run, command: CommandUnknownOpts): Session {
  const server = serverOf(run.io, command);
  return openSession(run.io, server, outputOf(command) === "json");
}

/** The server that is meant: --server of the verb, of the program, HOWDAH_SERVER, the usual one. */
export function serverOf(io: Io, command: CommandUnknownOpts): string {
  const server = optionOf(command, "server") ?? (io.env.HOWDAH_SERVER || defaultServer);
  return server.replace(/\/+$/, "");
}

/** "text" or "json". */
export function outputOf(command: CommandUnknownOpts): string {
  return optionOf(command, "output") ?? "text";
}

function optionOf(command: CommandUnknownOpts, name: string): string | undefined {
  for (let at: CommandUnknownOpts | null = command; at !== null; at = at.parent) {
    const value = at.opts()[name];
    if (typeof value === "string") return value;
  }
  return undefined;
}

/** Reads "30s" into a protobuf duration. */
export function durationOption(text: string) {
  const ms = parseDuration(text);
  if (ms === undefined || ms === 0) {
    throw new InvalidArgumentError("Write it as 30s, 5m or 2h.");
  }
  return toDuration(ms);
}

/** Milliseconds as the wire has them. */
export function toDuration(ms: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.floor(ms / 1000)),
    nanos: (ms % 1000) * 1_000_000,
  });
}

/** Collects `--label key=value`; a label without a value means any value. */
export function labelOption(text: string, before: Record<string, string> = {}) {
  const [, key = "", value = ""] = /^([^=]*)=?(.*)$/s.exec(text) ?? [];
  if (key === "") throw new InvalidArgumentError("Write it as KEY=VALUE, or KEY for any value.");
  return { ...before, [key]: value };
}

/** Collects an option that may be given several times, or once with commas. */
export function listOption(text: string, before: string[] = []): string[] {
  const values = text.split(",").map((one) => one.trim());
  return [...before, ...values.filter((one) => one !== "")];
}

/** Reads an id. */
export function idArgument(text: string): bigint {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError("It is a number from 1.");
  return BigInt(text);
}

/** Reads a count from 0. */
export function countOption(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("It is a whole number.");
  return Number(text);
}

/** Reads "key=value" parameters; the option may be given again. */
export function paramOption(
  text: string,
  before: Record<string, string> = {},
): Record<string, string> {
  const [, key = "", value = ""] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === "") throw new InvalidArgumentError("Write it as KEY=VALUE.");
  return { ...before, [key]: value };
}
