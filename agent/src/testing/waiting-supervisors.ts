import { readlinkSync } from "node:fs";
import type { AgentFolders } from "../folders.js";
import { commandLine, listProcesses } from "../process-table.js";

/** The pids of those that wait for a step: their input has not become /dev/null yet. */
export function waiters({ supervisor }: AgentFolders): number[] {
  const isWaiting = (pid: number) =>
    commandLine(pid).at(-1) === supervisor && linkOf(`/proc/${pid}/fd/0`).startsWith("socket:");
  return listProcesses().flatMap(({ pid, zombie }) => (!zombie && isWaiting(pid) ? [pid] : []));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // it has ended
  }
}
