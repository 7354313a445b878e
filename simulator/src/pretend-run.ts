import type { CommandResult, JournalEntry } from "@howdah/agent/journal/entry";
import { isJsonObject } from "@howdah/agent/json";
import { uptimeMs } from "@howdah/agent/process-table";
import type { Cancel } from "@howdah/agent/run/cancel";
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
  cancel: Cancel,
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
    const cancelReason = await untilOver(lastsMs, cancel, detach);
    // It went on for as long as the clock says, so that what was uploaded meanwhile is what it wrote.
    const share = cancelReason === undefined ? 1 : lived();
    return resultOf(entry, endingOf(cancelReason), Math.floor(outputBytes * share));
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

/**
 * Waits; resolves with a cancel's reason when one came before. What takes no time needs no timer, nor anybody who listens, nor a signal
 * to listen to.
 */
async function untilOver(
  ms: number,
  cancel: Cancel,
  detach: AbortSignal,
): Promise<string | undefined> {
  detach.throwIfAborted();
  if (cancel.reason !== undefined || ms === 0) return cancel.reason;
  const { signal } = cancel;
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onCancel);
      detach.removeEventListener("abort", onDetach);
      settle();
    };
    const onCancel = end(() => resolve(cancel.reason));
    const onDetach = end(() => reject(detach.reason));
    const timer = setTimeout(
      end(() => resolve(undefined)),
      ms,
    );
    signal.addEventListener("abort", onCancel);
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
