import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { ResultStatus } from "../journal/entry.js";
import { uptimeMs } from "../process-table.js";
import type { CommandPlan, PlannedStep } from "./command-plan.js";
import type { DataFiles } from "./data-files.js";
import { type LimitedEnd, runLimitedStep } from "./limited-step.js";
import { afterTry, retryBudget } from "./retry-waits.js";
import { stepVariable } from "./script-environment.js";
import type { StepContext } from "./step.js";
import { forbidStart, readStepState, stepStateOf } from "./step-records.js";

/** How the steps of an attempt ended, all tries together. */
export interface TriesEnd {
  readonly status: ResultStatus;
  readonly exitCode: number;
  readonly reason: string;
  readonly tries: number;
  /** Whether any step started. */
  readonly started: boolean;
  readonly endedUptimeMs: number;
}

/** What running the tries needs besides the plan. */
export interface TriesContext extends StepContext {
  readonly plan: CommandPlan;
  /** The attempt's own folder for the records of its steps. */
  readonly recordFolder: string;
  readonly files: DataFiles;
  /** Aborted by a cancel; its reason is a text. */
  readonly cancel: AbortSignal;
  /** The host was started anew since the attempt began: a step without an exit record may have run. */
  readonly otherBoot: boolean;
  /** Called before the wait for a further try, with the record of its first step: that is there when an agent before this one waited. */
  readonly onWait: (record: string) => void;
  /** Called before each further try. */
  readonly onRetry: () => void;
}

/** Ambari's exit code for a command that its time-out ended. */
const timeoutExitCode = 999;
/** Somebody sent the script SIGTERM or SIGKILL: who did so does not want it to run again. */
const stoppedFromOutside = [-15, -9];

/**
 * Runs the steps of a plan, one after the other, until one fails; then, as long as the plan's time for retries lasts,
 * all of them again, after 2, 4, 8 … seconds, the last wait cut to what is left. Everything it decides follows from the
 * steps' records, so a restarted agent that runs it again goes on where the former one was.
 */
export async function runTries(context: TriesContext): Promise<TriesEnd> {
  const { plan } = context;
  let budget = retryBudget(plan.retryMs);
  for (let tries = 1; ; tries++) {
    const beganMs = uptimeMs();
    const end = await runChain(tries, context);
    if (end.status !== "FAILED" && end.status !== "TIMEDOUT") return end;
    if (stoppedFromOutside.includes(end.exitCode)) return end;
    const tookMs = end.endedUptimeMs - (end.beganUptimeMs ?? beganMs);
    const next = afterTry(budget, tookMs);
    if (next === undefined) return end;
    budget = next;
    context.onWait(recordOf(tries + 1, plan.steps[0], context));
    await waitUntil(end.endedUptimeMs + budget.delayMs, context);
    if (context.cancel.aborted && neverRuns(recordOf(tries + 1, plan.steps[0], context))) {
      return { ...end, status: "ABORTED", reason: String(context.cancel.reason) };
    }
    context.onRetry();
  }
}

interface ChainEnd extends TriesEnd {
  readonly beganUptimeMs: number | undefined;
}

async function runChain(tries: number, context: TriesContext): Promise<ChainEnd> {
  const { plan, cancel } = context;
  let beganUptimeMs: number | undefined;
  let endedUptimeMs = uptimeMs();
  let started = tries > 1;
  const ended = (status: ResultStatus, exitCode: number, reason: string): ChainEnd => {
    return { status, exitCode, reason, tries, started, beganUptimeMs, endedUptimeMs };
  };
  for (const planned of plan.steps) {
    const record = recordOf(tries, planned, context);
    if (context.otherBoot && (await stepStateOf(record, context.detach)).kind !== "exited") {
      started = true;
      return ended("INTERRUPTED", 1, "the host was started anew while it ran");
    }
    if (cancel.aborted && neverRuns(record)) {
      return ended("ABORTED", 1, String(cancel.reason));
    }
    const limited = await runLimitedStep(
      {
        record,
        argv: planned.argv,
        cwd: plan.cwd,
        environment: { ...plan.environment, [stepVariable]: stepName(tries, planned) },
        stdoutPath: context.files.stdout,
        stderrPath: context.files.stderr,
      },
      { ...plan, cancel },
      context,
    );
    endedUptimeMs = uptimeMs();
    const { end } = limited;
    if (end.kind === "not-started") return ended("FAILED", 1, end.reason);
    started = true;
    if (end.kind === "exited") {
      beganUptimeMs ??= end.start.uptimeMs;
      endedUptimeMs = end.exit.uptimeMs;
    }
    const verdict = judge(limited, context);
    if (verdict) return ended(...verdict);
  }
  return ended("COMPLETED", 0, "");
}

/** Records tell the time since boot in steps of 10 ms, for start and end alike: a step may seem to have taken two less. */
const recordClockStepMs = 20;

/** What the end of a step means for its command; undefined: it goes on. */
function judge(
  { end, stoppedBy, leftRunning }: LimitedEnd,
  { plan, cancel }: TriesContext,
): [ResultStatus, number, string] | undefined {
  const remains = leftRunning.length > 0 ? `; still running: ${leftRunning.join(", ")}` : "";
  const timedOut = `stopped after ${plan.timeoutMs / 1000} s${remains}`;
  const aborted = () => `${String(cancel.reason)}${remains}`;
  if (end.kind === "lost") return ["INTERRUPTED", 1, `its supervisor died while it ran${remains}`];
  if (end.kind !== "exited") {
    if (stoppedBy === "timeout") return ["TIMEDOUT", timeoutExitCode, timedOut];
    return ["ABORTED", toldExitCode(128 + 15, plan), aborted()];
  }
  const { exitCode } = end.exit;
  const told = toldExitCode(exitCode, plan);
  if (stoppedBy === "timeout") return ["TIMEDOUT", timeoutExitCode, timedOut];
  if (exitCode === 0) return undefined;
  if (stoppedBy === "cancel") return ["ABORTED", told, aborted()];
  // Ended while no agent looked on: a former one may have stopped it and died before it could say so.
  const tookMs = end.exit.uptimeMs - end.start.uptimeMs;
  const signalled = exitCode === 128 + 15 || exitCode === 128 + 9;
  if (plan.timeoutMs > 0 && tookMs >= plan.timeoutMs - (signalled ? recordClockStepMs : 0)) {
    return ["TIMEDOUT", timeoutExitCode, timedOut];
  }
  if (cancel.aborted && signalled) {
    return ["ABORTED", told, aborted()];
  }
  return ["FAILED", told, ""];
}

/** A stack's script that signal n ended has the exit code -n, as Ambari tells it; an operator's command line 128 + n, as a shell does. */
function toldExitCode(exitCode: number, { adHoc }: CommandPlan): number {
  return !adHoc && exitCode > 128 && exitCode < 160 ? 128 - exitCode : exitCode;
}

/**
 * Makes sure that a step which a cancel overtook never runs; false when it has run. A record that stays empty was made
 * for the same purpose by a former agent, or by a supervisor that died before it ran anything.
 */
function neverRuns(record: string): boolean {
  if (forbidStart(record)) return true;
  const state = readStepState(record);
  return state.kind === "lost" && state.start === undefined;
}

/** Takes the first start of a plan, so that nothing of it ever runs; false when it has begun. */
export function forbidPlan({ steps }: CommandPlan, recordFolder: string): boolean {
  return forbidStart(recordOf(1, steps[0], { recordFolder }));
}

function recordOf(
  tries: number,
  step: PlannedStep | undefined,
  { recordFolder }: Pick<TriesContext, "recordFolder">,
): string {
  return join(recordFolder, `${stepName(tries, step)}.record`);
}

function stepName(tries: number, step: PlannedStep | undefined): string {
  return `${tries}.${step?.name ?? "script"}`;
}

/** Waits for a moment of the clock since boot, a cancel, or the agent's end (then rejects). */
async function waitUntil(untilUptimeMs: number, { cancel, detach }: TriesContext): Promise<void> {
  const leftMs = untilUptimeMs - uptimeMs();
  if (leftMs <= 0 || cancel.aborted) return;
  const { signal, release } = joinSignals(cancel, detach);
  try {
    await sleep(leftMs, undefined, { signal });
  } catch (error) {
    detach.throwIfAborted();
    if (!cancel.aborted) throw error;
  } finally {
    release();
  }
}
