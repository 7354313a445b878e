import { spawn } from "node:child_process";
import { closeSync, openSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Logger } from "pino";
import { type ExitRecord, type StartRecord, stepStateNow, stepStateOf } from "./step-records.js";

/** One process tree that a command runs: a hook, or the script. */
export interface Step {
  /** The file that tells of its start and its end; as long as it exists the step is not started again. */
  readonly record: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Both are appended to. */
  readonly stdoutPath: string;
  readonly stderrPath: string;
}

/** How a step ended. not-started: its command never ran, `reason` says why. */
export type StepEnd =
  | { readonly kind: "exited"; readonly start: StartRecord; readonly exit: ExitRecord }
  | { readonly kind: "lost"; readonly start: StartRecord | undefined }
  | { readonly kind: "not-started"; readonly reason: string };

/** A supervisor that was started ahead. */
export interface WaitingSupervisor {
  /**
   * Hands a step to the supervisor that waits. Resolves when that has ended, with its exit code or signal; whether it began the step only
   * the record tells. Undefined when none waits that the step fits: then one must be started for it. Either way another is ready soon.
   */
  handOver(step: Step): Promise<number | NodeJS.Signals> | undefined;
}

/** What running a step needs besides the step. */
export interface StepContext {
  /** The installed `supervisor.sh`. */
  readonly supervisor: string;
  /** Leaves the step running and rejects with the signal's reason: the agent stops, its commands go on. */
  readonly detach: AbortSignal;
  readonly log: Logger;
  /** The shell that runs the supervisor. Default `/bin/sh`. */
  readonly shell?: string;
  /** Has one waiting, which makes a start quicker. Default: each step's is started for it. */
  readonly ready?: WaitingSupervisor | undefined;
}

/** How often a supervisor is looked for whose exit record we wait for; it only matters when it was killed. */
const livenessMs = 2_000;
const alreadyStarted = 75;
const recordNotWritten = 74;

/** Starts the step unless it has started before, and waits for its end: also of one that a former agent started. */
export async function runStep(step: Step, context: StepContext): Promise<StepEnd> {
  for (;;) {
    context.detach.throwIfAborted();
    const state = await stepStateOf(step.record, context.detach);
    switch (state.kind) {
      case "exited":
      case "lost":
        return state;
      case "running":
        await waitWhileRunning(step.record, context.detach);
        break;
      case "none": {
        const failure = await superviseStep(step, context);
        if (failure) return { kind: "not-started", reason: failure };
      }
    }
  }
}

/** Runs a supervisor until it ends. Returns why it did not run the command, undefined if its record tells more. */
async function superviseStep(step: Step, context: StepContext): Promise<string | undefined> {
  const handedOver = context.ready?.handOver(step);
  if (handedOver !== undefined) {
    const outcome = await untilDetached(handedOver, context.detach);
    if (outcome === recordNotWritten) return notWritten(step);
    // Where there is no record it ran nothing, and never will: it was killed as it waited, or could not open the output.
    if ((await stepStateOf(step.record, context.detach)).kind !== "none") return undefined;
  }
  return superviseByItsOwn(step, context);
}

function notWritten({ record }: Step): string {
  return `can't write the step's record ${record}: is the disk full?`;
}

async function superviseByItsOwn(step: Step, context: StepContext): Promise<string | undefined> {
  let stdout: number | undefined;
  let stderr: number | undefined;
  try {
    stdout = openSync(step.stdoutPath, "a", 0o600);
    stderr = openSync(step.stderrPath, "a", 0o600);
    const child = spawn(
      context.shell ?? "/bin/sh",
      [context.supervisor, step.record, ...step.argv],
      {
        cwd: step.cwd,
        env: step.environment,
        stdio: ["ignore", stdout, stderr],
        detached: true, // its own session: it must outlive the agent
      },
    );
    const ended = new Promise<number | NodeJS.Signals | Error>((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signal ?? 0));
      child.once("error", resolve);
    });
    const outcome = await untilDetached(ended, context.detach).catch((error: unknown) => {
      child.unref(); // detached: this process need not stay for it
      throw error;
    });
    if (outcome instanceof Error)
      return `can't run ${context.shell ?? "/bin/sh"}: ${outcome.message}`;
    if (outcome === alreadyStarted) return undefined;
    if (outcome === recordNotWritten) return notWritten(step);
    // Ended before it made its record: it never ran the command and never will.
    const { kind } = await stepStateOf(step.record, context.detach);
    return kind === "none"
      ? `the step's supervisor ended with ${outcome} before it started anything`
      : undefined;
  } catch (error) {
    if (context.detach.aborted) throw error;
    return (error as Error).message;
  } finally {
    if (stdout !== undefined) closeSync(stdout);
    if (stderr !== undefined) closeSync(stderr);
  }
}

/** Waits until the record or the supervisor changes from running to anything else. */
async function waitWhileRunning(record: string, detach: AbortSignal): Promise<void> {
  let tell: () => void = () => {};
  const changed = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const look = () => {
    if ((stepStateNow(record)?.kind ?? "running") !== "running") tell();
  };
  const timer = setInterval(look, livenessMs);
  // Where inotify's limits are used up, the timer alone finds the end, later.
  const watcher = watchOrNothing(dirname(record), (name) => {
    if (name === null || name === basename(record)) look();
  });
  try {
    look(); // what changed before we watched
    await untilDetached(changed, detach);
  } finally {
    clearInterval(timer);
    watcher?.close();
  }
}

function watchOrNothing(folder: string, onChange: (name: string | null) => void) {
  try {
    const watcher = watch(folder, (_, name) => onChange(name));
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

/** Waits for `work`, but rejects with the signal's reason as soon as that aborts. */
export async function untilDetached<T>(work: Promise<T>, detach: AbortSignal): Promise<T> {
  detach.throwIfAborted();
  let leave: () => void = () => {};
  const detached = new Promise<never>((_, reject) => {
    leave = () => reject(detach.reason);
  });
  detach.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, detached]);
  } finally {
    detach.removeEventListener("abort", leave);
  }
}
