import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, rm } from "node:fs/promises";
import { constants } from "node:os";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { sendSignal } from "./end-process.js";
import { guard } from "./guard.js";
import { recordProcess } from "./leftovers.js";
import { lastLines } from "./log-tail.js";
import { identify } from "./process-identity.js";

/** What a check for readiness may look at. */
export interface Starting {
  pid: number;
  logFile: string;
  /** Where in the log file this process's own lines begin. */
  logOffset: number;
  /** Aborted when the process ends or the time is up: the check must then return or throw. */
  signal: AbortSignal;
}

export interface ProcessOptions<Ready> {
  /** For messages, such as "scheduler". */
  name: string;
  /** The program: a path, or a name on the PATH. */
  file: string;
  args?: string[];
  /** The whole environment. Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** Default: this process's. */
  cwd?: string;
  /** Gets stdout and stderr, appended; its folder is made. */
  logFile: string;
  /** A file that names the process while it lives, for `stopLeftovers`; its folder must be there. Default: none. */
  recordFile?: string;
  /** Resolves when the process is ready; what it resolves with is `ready` of the result. */
  readyWhen: (starting: Starting) => Promise<Ready>;
  /** Default 30,000. */
  readyTimeoutMs?: number;
}

export interface Exit {
  /** 128 + signal number when a signal ended it, as shells count. */
  code: number;
  signal: NodeJS.Signals | null;
}

/** A child process that is ready. It runs in a session of its own, and does not outlive this process. */
export interface ManagedProcess<Ready = unknown> {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly ready: Ready;
  /** Resolves when it has ended, however that came. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Sends a signal, SIGKILL by default; harmless when it has ended. */
  kill(signal?: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when it still runs after `graceMs` (default 15,000). Resolves when it has ended. */
  stop(graceMs?: number): Promise<Exit>;
}

/** Thrown when a process ended, or was not ready in time; the message has the last lines of its log. */
export class ProcessStartError extends Error {
  override readonly name = "ProcessStartError";
}

/** Starts a program and waits until it is ready. Throws `ProcessStartError`, and then leaves nothing running. */
export async function startProcess<Ready>(
  options: ProcessOptions<Ready>,
): Promise<ManagedProcess<Ready>> {
  const { name, logFile } = options;
  await mkdir(dirname(logFile), { recursive: true });
  const log = await open(logFile, "a", 0o640);
  let child: ChildProcess;
  let logOffset: number;
  try {
    logOffset = (await log.stat()).size;
    // Its own session, so that Ctrl-C in a terminal reaches the launcher alone, which stops all in order.
    child = spawn(options.file, options.args ?? [], {
      env: options.env ?? process.env,
      cwd: options.cwd,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    await once(child, "spawn");
  } catch (error) {
    throw new ProcessStartError(`cannot start ${name}: ${(error as Error).message}`);
  } finally {
    await log.close();
  }
  const pid = child.pid as number;
  const exit = exitOf(child);
  const forget = await remember(pid, options.recordFile);
  const exited = exit.then(async (how) => {
    await forget();
    return how;
  });

  const kill = (signal: NodeJS.Signals = "SIGKILL") => {
    // A pid is ours until its exit was seen; after that it may be anybody's.
    if (child.exitCode === null && child.signalCode === null) sendSignal(pid, signal);
  };
  const stop = async (graceMs = 15_000) => {
    kill("SIGTERM");
    const timer = setTimeout(kill, graceMs);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  try {
    const ready = await untilReady(options, { pid, logFile, logOffset }, exited);
    return { name, pid, logFile, ready, exited, kill, stop };
  } catch (error) {
    await stop(2_000);
    if (!(error instanceof ProcessStartError)) throw error;
    const tail = await lastLines(logFile);
    throw new ProcessStartError(`${error.message}; its log ${logFile} ends with:\n${tail}`);
  }
}

/** Has the process ended with this one, by the guard, or by the next start, by its record; until `forget`. */
async function remember(pid: number, recordFile?: string): Promise<() => Promise<void>> {
  const identity = await identify(pid);
  if (identity === undefined) return async () => {}; // it has ended already
  const { release } = guard(identity);
  if (recordFile) await recordProcess(recordFile, identity);
  return async () => {
    release();
    if (recordFile) await rm(recordFile, { force: true });
  };
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      resolve({ code: code ?? 128 + (signal ? constants.signals[signal] : 0), signal });
    });
  });
}

async function untilReady<Ready>(
  options: ProcessOptions<Ready>,
  process: Omit<Starting, "signal">,
  exited: Promise<Exit>,
): Promise<Ready> {
  const { name, readyTimeoutMs = 30_000 } = options;
  const over = new AbortController();
  const tooLate = async () => {
    await delay(readyTimeoutMs, undefined, { signal: over.signal });
    throw new ProcessStartError(`${name} was not ready after ${readyTimeoutMs} ms`);
  };
  const ended = async () => {
    const { code, signal } = await exited;
    const how = signal ? `by ${signal}` : `with exit code ${code}`;
    throw new ProcessStartError(`${name} ended ${how} before it was ready`);
  };
  const checks = [options.readyWhen({ ...process, signal: over.signal }), tooLate(), ended()];
  try {
    return (await Promise.race(checks)) as Ready;
  } finally {
    over.abort();
    // The losers of the race end by the abort, or by an exit much later.
    for (const check of checks) check.catch(() => {});
  }
}
