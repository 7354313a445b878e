import { setTimeout as delay } from "node:timers/promises";
import { isAlive, type ProcessIdentity } from "./process-identity.js";

/** Sends a signal; false when there is no such process any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/**
 * Ends a process that need not be our child: SIGTERM, and SIGKILL when it still runs after `graceMs`; 0: SIGKILL at once.
 * Resolves when it has ended. For a child of ours its own `exit` event is the better sign.
 */
export async function endProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  if (!(await isAlive(identity))) return;
  sendSignal(identity.pid, graceMs > 0 ? "SIGTERM" : "SIGKILL");
  const deadline = performance.now() + graceMs;
  let killed = graceMs <= 0;
  // Only a parent is told of an exit; everybody else has to look.
  while (await isAlive(identity)) {
    if (!killed && performance.now() > deadline) {
      sendSignal(identity.pid, "SIGKILL");
      killed = true;
    }
    await delay(20);
  }
}
