import type { CommandResult, JournalEntry } from "@howdah/agent/journal/entry";
import { isJsonObject } from "@howdah/agent/json";
import { uptimeMs } from "@howdah/agent/process-table";
import { type Behaviour, fateOf } from "./behaviour.js";
import { failureText, type PretendedOutput } from "./pretended-output.js";

/** What pretending needs. */
export interface PretendOptions {
  readonly behaviour: Behaviour;
  readonly output: PretendedOutput;
}

type Ending = Pick<CommandResult, "status" | "exitCode" | "reason">;

const defaultTimeoutMs = 900_000;
/**
 * Output comes in portions while a command runs, if it runs so long that ten of them have the shortest time between them: in ten, or in more
 * when it is much, so that it flows as from a command that writes all the time.
 */
const leastPortions = 10;
const portionBytes = 16 << 10;
const portionEveryMs = 50;

/**
 * Pretends to run a command: lets the time of its fate pass, unless a cancel or its time-out comes first. Rejects when detached.
 * In-place retries are not played: a simulated failure is one.
 */
export async function pretendRun(
  entry: JournalEntry,
  cancel: AbortSignal,
  detach: AbortSignal,
  { behaviour, output }: PretendOptions,
): Promise<CommandResult> {
  const { key } = entry;
  const fate = fateOf(key, behaviour);
  const limitMs = timeoutOf(entry);
  const lastsMs = Math.min(fate.durationMs, limitMs);
  const { outputBytes } = behaviour;
  const beganAt = performance.now();
  const lived = () => (lastsMs === 0 ? 1 : Math.min(1, (performance.now() - beganAt) / lastsMs));
  const writing = portionTimer(() => output.wrote(key, Math.floor(outputBytes * lived())));
  try {
    const cancelled = await untilOver(lastsMs, cancel, detach);
    // It went on for as long as the clock says, so that what was uploaded meanwhile is what it wrote.
    const stdoutBytes = cancelled ? Math.floor(outputBytes * lived()) : outputBytes;
    const ending = endingOf(cancelled ? String(cancel.reason) : undefined);
    return resultOf(entry, ending, stdoutBytes);
  } finally {
    clearInterval(writing);
    output.over(key);
  }

  function portionTimer(write: () => void): NodeJS.Timeout | undefined {
    if (outputBytes === 0 || lastsMs < leastPortions * portionEveryMs) return undefined;
    const portions = Math.max(leastPortions, outputBytes / portionBytes);
    return setInterval(write, Math.max(portionEveryMs, lastsMs / portions));
  }

  function endingOf(cancelReason: string | undefined): Ending {
    if (cancelReason !== undefined) {
      return { status: "ABORTED", exitCode: 128 + 15, reason: cancelReason };
    }
    if (fate.durationMs > limitMs) {
      return { status: "TIMEDOUT", exitCode: 999, reason: `stopped after ${limitMs / 1_000} s` };
    }
    if (fate.fails) return { status: "FAILED", exitCode: 1, reason: "" };
    return { status: "COMPLETED", exitCode: 0, reason: "" };
  }
}

/** Waits; true when a cancel came before. What takes no time needs no timer, nor anybody who listens. */
async function untilOver(ms: number, cancel: AbortSignal, detach: AbortSignal): Promise<boolean> {
  detach.throwIfAborted();
  if (cancel.aborted || ms === 0) return cancel.aborted;
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer);
      cancel.removeEventListener("abort", onCancel);
      detach.removeEventListener("abort", onDetach);
      settle();
    };
    const onCancel = end(() => resolve(true));
    const onDetach = end(() => reject(detach.reason));
    const timer = setTimeout(
      end(() => resolve(false)),
      ms,
    );
    cancel.addEventListener("abort", onCancel);
    detach.addEventListener("abort", onDetach);
  });
}

function timeoutOf({ command }: JournalEntry): number {
  const spec = isJsonObject(command) ? command.spec : undefined;
  const timeoutMs = isJsonObject(spec) ? Number(spec.timeoutMs ?? 0) : 0;
  return timeoutMs > 0 ? timeoutMs : defaultTimeoutMs;
}

function resultOf(
  { start, receivedAtMs }: JournalEntry,
  ending: Ending,
  stdoutBytes: number,
): CommandResult {
  const endedUptimeMs = uptimeMs();
  const { status, exitCode, reason } = ending;
  // Field by field: a field that is added behind a spread takes Node 20 a microsecond, and this is per command.
  return {
    status,
    exitCode,
    reason,
    started: true,
    tries: 1,
    startedAtMs: start?.atMs ?? receivedAtMs,
    endedAtMs: Date.now(),
    startedUptimeMs: start?.uptimeMs ?? endedUptimeMs,
    endedUptimeMs,
    bootId: start?.bootId ?? "",
    stdoutBytes,
    stderrBytes: status === "FAILED" ? failureText.length : 0,
    structuredOutBytes: 0,
  };
}
