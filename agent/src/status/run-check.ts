import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { bootId, type ProcessIdentity, readProcess } from "../process-table.js";
import { stopTree } from "../run/stop-tree.js";

/** The script of a check, ready to be run. */
export interface CheckRun {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Holds `tag`. */
  readonly environment: Readonly<Record<string, string>>;
  /** `HOWDAH_TASK=…`, unique to this check. */
  readonly tag: string;
  readonly timeoutMs: number;
  /** Written to its stdin. Default: it has none. */
  readonly input?: string;
}

/** How a check's script ended. */
export interface CheckEnd {
  /** 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** The end of what it wrote to stderr. */
  readonly stderr: string;
  /** The first line that it wrote to descriptor 3, which is there where it has an input; empty for none. */
  readonly answer: string;
}

/** Thrown when a check says nothing about its component: its script could not be run, or did not come to its end. */
export class CheckNotMadeError extends Error {
  override readonly name = "CheckNotMadeError";
}

/** A check that writes more than that is ended. Nothing of it is kept on the disk. */
const mostOutputBytes = 16 << 20;
/** What is kept of stderr, for the log. */
const keptStderr = 2_000;
/** Between SIGTERM and SIGKILL for a check that takes too long. */
const graceMs = 1_000;
/** What is still in the pipe of a script that has ended is waited for so long, in case somebody else holds the pipe. */
const lastOutputMs = 50;
/** Likewise for its answer, which matters more. */
const lastAnswerMs = 2_000;
/** A longer answer is none. */
const mostAnswer = 256 << 10;
const longestTimerMs = 2 ** 31 - 1;

/**
 * Runs a check's script to its end. Unlike a command's step it has no record and no supervisor: whatever becomes of it, it is simply
 * made again. Nothing that it started is left behind in its process group, and nothing at all when it is stopped.
 * @param signal stops it at once; the promise rejects with its reason when its processes are gone
 * @throws CheckNotMadeError
 */
export async function runCheck(run: CheckRun, signal: AbortSignal, log: Logger): Promise<CheckEnd> {
  signal.throwIfAborted();
  const [file = "", ...args] = run.argv;
  const child = spawn(file, args, {
    cwd: run.cwd,
    env: run.environment,
    stdio: run.input === undefined ? ["ignore", "pipe", "pipe"] : ["pipe", "pipe", "pipe", "pipe"],
    detached: true, // a session of its own, which can be ended whole
  });
  const leader = identityOf(child.pid);
  const over = new AbortController();
  let stderr = "";
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;

  const ended = new Promise<number>((resolve, reject) => {
    child.once("exit", (code, name) => resolve(code ?? 128 + constants.signals[name ?? "SIGKILL"]));
    child.once("error", (error: NodeJS.ErrnoException) => {
      reject(new CheckNotMadeError(`${file} cannot be run (${error.code ?? error.message})`));
    });
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let flooded = () => {};
  const count = (length: number) => {
    bytes += length;
    if (bytes > mostOutputBytes) flooded();
  };
  const stopped = new Promise<Error>((resolve) => {
    const give = (what: string) => resolve(new CheckNotMadeError(what));
    timer = setTimeout(
      () => give(`it did not end within ${run.timeoutMs / 1000} s`),
      Math.min(run.timeoutMs, longestTimerMs),
    );
    signal.addEventListener("abort", () => resolve(signal.reason), {
      once: true,
      signal: over.signal,
    });
    flooded = () => give(`it wrote more than ${mostOutputBytes >> 20} MiB`);
    child.stdout?.on("data", (data: Buffer) => count(data.length));
    child.stderr?.on("data", (data: Buffer) => {
      count(data.length);
      stderr = `${stderr}${data.subarray(-keptStderr).toString()}`.slice(-keptStderr);
    });
  });
  const answer = run.input === undefined ? undefined : talk(child, run.input, count);
  const stop = (forMs: number) =>
    stopTree({
      ...{ tag: run.tag, leader, graceMs: forMs, packageManagerWaitMs: 0, log },
      signal: over.signal,
    });

  try {
    const end = await Promise.race([ended, stopped]);
    if (end instanceof Error) {
      child.stdout?.destroy();
      child.stderr?.destroy();
      await stop(signal.aborted ? 0 : graceMs);
      throw end;
    }
    if (answer !== undefined) {
      await Promise.race([answer.whole, sleep(lastAnswerMs, undefined, { signal: over.signal })]);
    }
    if (groupLives(child.pid)) await stop(0);
    if (end !== 0) {
      await Promise.race([closed, sleep(lastOutputMs, undefined, { signal: over.signal })]);
    }
    return { exitCode: end, stderr, answer: answer?.line() ?? "" };
  } finally {
    clearTimeout(timer);
    over.abort();
    child.stdout?.destroy();
    child.stderr?.destroy();
    child.stdin?.destroy();
    answerPipe(child)?.destroy();
  }
}

/** A child that could not be made for want of file descriptors has no stdio at all, whatever its type says. */
function answerPipe(child: ChildProcess): Readable | undefined {
  const pipes: readonly unknown[] | undefined = child.stdio;
  return pipes?.[3] as Readable | undefined;
}

interface Talk {
  /** Resolves when the answer is whole, or nobody can write it any more. */
  readonly whole: Promise<void>;
  line(): string;
}

/** Writes the input, and reads a line from descriptor 3. */
function talk(child: ChildProcess, input: string, count: (length: number) => void): Talk {
  const { stdin } = child;
  stdin?.on("error", () => undefined); // it need not read it
  stdin?.end(input);
  let text = "";
  const whole = new Promise<void>((resolve) => {
    const pipe = answerPipe(child);
    pipe?.setEncoding("utf8");
    pipe?.on("data", (more: string) => {
      count(more.length);
      if (text.length < mostAnswer) text += more;
      if (text.includes("\n")) resolve();
    });
    pipe?.on("error", () => resolve());
    pipe?.on("close", () => resolve());
  });
  return { whole, line: () => text.slice(0, Math.max(0, text.indexOf("\n"))) };
}

function identityOf(pid: number | undefined): ProcessIdentity | undefined {
  try {
    const info = pid === undefined ? undefined : readProcess(pid);
    return info && { pid: info.pid, startTime: info.startTime, bootId: bootId() };
  } catch {
    return undefined; // no file descriptor to read it with: its tag is enough to find its processes
  }
}

/** Whether a process group whose leader has ended still has members: then no other group can have its number. */
function groupLives(pid: number | undefined): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
