import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import type { Writable } from "node:stream";
import { stepVariable, taskVariable } from "./script-environment.js";
import type { Step, WaitingSupervisor } from "./step.js";

/** Keeps a supervisor waiting, started ahead of the step that it will run: handing that over is a write to its input. */
export interface ReadySupervisor extends WaitingSupervisor {
  /** Ends the one that waits; what was handed over goes on. Resolves when it is gone. */
  close(): Promise<void>;
}

/** What it runs, and how. */
export interface ReadySupervisorOptions {
  /** The installed `supervisor.sh`. */
  readonly supervisor: string;
  /** The shell that runs it. Default `/bin/sh`. */
  readonly shell?: string;
  /** Where steps run. A step elsewhere is never handed over. */
  readonly cwd: string;
  /** What is the same for all steps; nor one that differs in more than its tags. */
  readonly environment: Readonly<Record<string, string>>;
}

interface Waiting {
  readonly child: ChildProcess;
  readonly input: Writable;
  readonly ended: Promise<number | NodeJS.Signals>;
  /** In which folder it is: another may have that name by now. */
  readonly folder: string;
}

/** After a step was handed over: its start goes before, and what a short one has to tell. */
const nextAfterMs = 20;
/** A shell reads its input byte by byte; beyond this, starting another shell takes no longer. */
const longestLine = 4_096;
/** What differs from step to step. All other variables, a waiting supervisor was started with. */
const ofTheStep: readonly string[] = [taskVariable, stepVariable];

/**
 * Makes what keeps one ready, from now on. That is in a session of its own from its start, like one that is started for a step, and ends
 * with this process, however that ends: its input is a pipe that nobody else holds.
 */
export function createReadySupervisor(options: ReadySupervisorOptions): ReadySupervisor {
  const environment = commonOf(options.environment);
  let waiting: Waiting | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  startSoon();

  function startSoon(): void {
    timer ??= setTimeout(start, nextAfterMs).unref();
  }

  function start(): void {
    timer = undefined;
    if (closed || waiting !== undefined) return;
    const folder = folderOf(options.cwd);
    if (folder === undefined) return;
    const child = spawn(options.shell ?? "/bin/sh", [options.supervisor], {
      cwd: options.cwd,
      env: environment,
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
    });
    const gone = () => {
      if (waiting?.child === child) waiting = undefined;
    };
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once("exit", (code, signal) => {
        gone();
        resolve(code ?? signal ?? 0);
      });
      child.once("error", gone);
    });
    // Where it could not be started there is none, whatever the type says: no memory, no file descriptor.
    const input: Writable | null | undefined = child.stdin;
    if (!input || child.pid === undefined) return;
    input.on("error", () => undefined); // it has ended: the promise tells
    child.unref();
    if ("unref" in input && typeof input.unref === "function") input.unref();
    waiting = { child, input, ended, folder };
  }

  function dismiss(): Promise<unknown> | undefined {
    const former = waiting;
    waiting = undefined;
    former?.child.ref(); // for who waits for its end
    former?.child.kill("SIGKILL"); // it runs nothing
    former?.input.destroy();
    return former?.ended;
  }

  /** Whether the step would find what it finds under a supervisor of its own. */
  function fits(step: Step, { folder }: Waiting): boolean {
    if (step.cwd !== options.cwd) return false;
    // Made by a shell, they would have another mode than the agent gives them.
    if (!existsSync(step.stdoutPath) || !existsSync(step.stderrPath)) return false;
    const common = commonOf(step.environment);
    const names = Object.keys(common);
    if (names.length !== Object.keys(environment).length) return false;
    if (!names.every((name) => environment[name] === common[name])) return false;
    if (folder === folderOf(step.cwd)) return true;
    void dismiss();
    return false;
  }

  return {
    handOver(step) {
      if (closed) return undefined;
      startSoon();
      const line = lineOf(step);
      if (waiting === undefined || line === undefined || !fits(step, waiting)) return undefined;
      const { child, input, ended } = waiting;
      waiting = undefined;
      child.ref();
      input.end(line);
      return ended;
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await dismiss();
    },
  };
}

function folderOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}

function commonOf(environment: Step["environment"]): Record<string, string> {
  const common = { ...environment };
  for (const name of ofTheStep) delete common[name];
  return common;
}

/** The step as `supervisor.sh` reads it; undefined when it must be told as arguments. */
function lineOf({ record, stdoutPath, stderrPath, environment, argv }: Step): string | undefined {
  const variables = ofTheStep.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [`${name}=${value}`];
  });
  const words = [record, stdoutPath, stderrPath, ...variables, "--", ...argv];
  const line = `${words.map(quoted).join(" ")}\n`;
  return line.includes("\0") || Buffer.byteLength(line) > longestLine ? undefined : line;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''").replaceAll("\n", "'\"$hd_lf\"'")}'`;
}
