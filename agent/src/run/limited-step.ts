import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, uptimeMs } from "../process-table.js";
import { runStep, type Step, type StepContext, type StepEnd } from "./step.js";
import { type StartRecord, stepStateOf } from "./step-records.js";
import { stopTree } from "./stop-tree.js";

/** What ends a step before its own time. */
export interface StepLimits {
  /** Counted from the start record on the clock since boot, so an agent's restart does not prolong it; 0: none. */
  readonly timeoutMs: number;
  /** Aborted by a cancel. */
  readonly cancel: AbortSignal;
  /** The tag of the command's processes, `HOWDAH_TASK=…`. */
  readonly tag: string;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
  /** How long package managers are waited for. */
  readonly packageManagerWaitMs: number;
}

/** How a step with limits ended. */
export interface LimitedEnd {
  /** stopped: it was told to stop and its exit is not known: a package manager goes on, or its supervisor was stuck. */
  readonly end: StepEnd | { readonly kind: "stopped" };
  readonly stoppedBy: "timeout" | "cancel" | null;
  /** Processes that still run, as `name (pid)`. */
  readonly leftRunning: readonly string[];
}

/** After its tree is gone the supervisor has this long to record that, before it is killed too. */
const lastWordMs = 10_000;
/** The longest delay of a Node timer. */
const longestTimerMs = 2 ** 31 - 1;

/** Runs a step, or follows one that runs already, and stops its whole tree at the time-out or on cancel. */
export async function runLimitedStep(
  step: Step,
  limits: StepLimits,
  context: StepContext,
): Promise<LimitedEnd> {
  const over = new AbortController();
  const running = runStep(step, context);
  try {
    const first = await Promise.race([
      running,
      timeoutOf(step, limits.timeoutMs, over.signal),
      cancelOf(limits.cancel, over.signal),
    ]);
    if (typeof first === "object" && first.kind !== "lost") {
      return { end: first, stoppedBy: null, leftRunning: [] };
    }
    // Also what a dead supervisor left behind is stopped: it must not run on beside a later attempt.
    const supervisor =
      typeof first === "object" ? first.start : await startOf(step, running, over.signal);
    const { leftRunning } = await stopTree({
      tag: limits.tag,
      supervisor,
      graceMs: limits.graceMs,
      packageManagerWaitMs: limits.packageManagerWaitMs,
      signal: context.detach,
      log: context.log,
    });
    if (typeof first === "object") return { end: first, stoppedBy: null, leftRunning };
    if (leftRunning.length > 0) return { end: { kind: "stopped" }, stoppedBy: first, leftRunning };
    const last = await Promise.race([
      running,
      sleep(lastWordMs, undefined, { signal: over.signal }),
    ]);
    if (last) return { end: last, stoppedBy: first, leftRunning };
    context.log.error({ step: step.record, supervisor }, "a supervisor did not end: killing it");
    if (supervisor && isAlive(supervisor)) process.kill(supervisor.pid, "SIGKILL");
    return { end: { kind: "stopped" }, stoppedBy: first, leftRunning };
  } finally {
    over.abort();
    running.catch(() => {}); // when detached: what we awaited has thrown the same
  }
}

async function timeoutOf(step: Step, timeoutMs: number, over: AbortSignal): Promise<"timeout"> {
  const spawnedMs = uptimeMs();
  for (;;) {
    const state = await stepStateOf(step.record, over);
    const startedMs = ("start" in state ? state.start?.uptimeMs : undefined) ?? spawnedMs;
    const leftMs = timeoutMs === 0 ? longestTimerMs : startedMs + timeoutMs - uptimeMs();
    if (leftMs <= 0) return "timeout";
    await sleep(Math.min(leftMs, longestTimerMs), undefined, { signal: over });
  }
}

function cancelOf(cancel: AbortSignal, over: AbortSignal): Promise<"cancel"> {
  return new Promise((resolve) => {
    if (cancel.aborted) resolve("cancel");
    cancel.addEventListener("abort", () => resolve("cancel"), { once: true, signal: over });
  });
}

/** The supervisor's identity: just spawned, it may not have written it yet. */
async function startOf(
  step: Step,
  running: Promise<StepEnd>,
  over: AbortSignal,
): Promise<StartRecord | undefined> {
  for (;;) {
    const state = await stepStateOf(step.record, over);
    if (state.kind !== "none") return state.start;
    const ended = await Promise.race([running, sleep(10, undefined, { signal: over })]);
    if (ended) return undefined;
  }
}
