import { closeSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bootId,
  commandLine,
  isAlive,
  listProcesses,
  type ProcessIdentity,
  parseUptimeMs,
  uptimeMs,
} from "../process-table.js";

/** What the supervisor wrote before it ran the step's command. */
export interface StartRecord extends ProcessIdentity {
  readonly uptimeMs: number;
}

/** What the supervisor wrote after the step's command ended. */
export interface ExitRecord {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  readonly uptimeMs: number;
}

/**
 * What a step's record says. none: it has not started. running: its supervisor lives. exited: it has ended. lost: it
 * started, did not end, and its supervisor is gone; what the step did nobody knows.
 */
export type StepState =
  | { readonly kind: "none" }
  | { readonly kind: "running"; readonly start: StartRecord }
  | { readonly kind: "exited"; readonly start: StartRecord; readonly exit: ExitRecord }
  | { readonly kind: "lost"; readonly start: StartRecord | undefined };

/** Reads a step's record, the file that its supervisor was told to make, and looks for the supervisor. */
export function readStepState(record: string): StepState {
  let lines = read(record);
  if (lines === undefined) return { kind: "none" };
  let start = parseStart(lines[0]);
  if (!start) {
    // Made, but not written yet, or never: only its supervisor could tell, and it is found by its having that file open.
    const supervisor = findSupervisor(record);
    start = parseStart(read(record)?.[0]);
    if (!start && supervisor) return { kind: "running", start: supervisor };
    if (!start) return { kind: "lost", start: undefined };
  }
  // Liveness first, then the exit record: the other way round a step that ends in between would look lost.
  const alive = isAlive(start);
  lines = read(record);
  const exit = parseExit(lines?.[1]);
  if (exit) return { kind: "exited", start, exit };
  return alive ? { kind: "running", start } : { kind: "lost", start };
}

/** Between two tries to read a record for which there is no file descriptor. */
const descriptorWaitMs = 500;

/**
 * Like `readStepState`, but waits as long as this process or the host has no file descriptor left to read the record with: that says
 * nothing about the step, which may run or have ended well. Rejects when the signal aborts while it waits.
 */
export async function stepStateOf(record: string, signal: AbortSignal): Promise<StepState> {
  for (;;) {
    const state = stepStateNow(record);
    if (state !== undefined) return state;
    await sleep(descriptorWaitMs, undefined, { signal });
  }
}

/** Undefined when there is no file descriptor to read the record with. */
export function stepStateNow(record: string): StepState | undefined {
  try {
    return readStepState(record);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EMFILE" || code === "ENFILE") return undefined;
    throw error;
  }
}

/**
 * Takes the step's only start without running it, so that no supervisor, not even one that a former agent left on its
 * way, can start it any more. False when it has started already.
 */
export function forbidStart(record: string): boolean {
  try {
    closeSync(openSync(record, "wx", 0o600));
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST") return false;
    // Where we can't make the record no supervisor can.
    if (code === "ENOSPC" || code === "EDQUOT" || code === "EROFS") return true;
    throw error;
  }
}

/** The process that makes this record just now: it has it open, or was told of it by its arguments. */
function findSupervisor(record: string): StartRecord | undefined {
  for (const { pid, startTime, zombie } of listProcesses()) {
    if (zombie) continue;
    // sh, supervisor.sh, RECORD, …; or busybox, sh, …; one that was started ahead of its step has no RECORD there.
    const words = commandLine(pid).slice(0, 4);
    const identity = { pid, startTime, bootId: bootId() };
    if (words.includes(record)) return { ...identity, uptimeMs: startTime * 10 };
    if (!words.some((word) => word.endsWith("/supervisor.sh")) || !hasOpen(pid, record)) continue;
    return { ...identity, uptimeMs: madeAt(record) };
  }
  return undefined;
}

function hasOpen(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`;
  const wanted = statSync(path, { throwIfNoEntry: false });
  const isWanted = (name: string) => {
    const stats = statSync(`${folder}/${name}`, { throwIfNoEntry: false });
    return stats !== undefined && stats.ino === wanted?.ino && stats.dev === wanted.dev;
  };
  try {
    return readdirSync(folder).some(isWanted);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EMFILE" || code === "ENFILE") throw error;
    return false; // it has ended, or is another user's
  }
}

/** On the clock since boot. */
function madeAt(path: string): number {
  const madeMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
  return uptimeMs() - Math.max(0, Date.now() - madeMs);
}

function parseStart(line: string | undefined): StartRecord | undefined {
  const match = /^([0-9]+) ([0-9]+) ([^ ]+) ([0-9.]+)$/.exec(line ?? "");
  if (!match) return undefined;
  return {
    pid: Number(match[1]),
    startTime: Number(match[2]),
    bootId: match[3] ?? "",
    uptimeMs: parseUptimeMs(match[4] ?? ""),
  };
}

/** Half a line, read while it is written, has blanks where a number belongs and is none yet. */
function parseExit(line: string | undefined): ExitRecord | undefined {
  const match = /^([0-9]+) ([0-9]+[.][0-9]+) end$/.exec(line ?? "");
  if (!match) return undefined;
  return { exitCode: Number(match[1]), uptimeMs: parseUptimeMs(match[2] ?? "") };
}

/** The record's whole lines. */
function read(record: string): string[] | undefined {
  try {
    return readFileSync(record, "utf8").split("\n").slice(0, -1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
