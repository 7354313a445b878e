import { closeSync, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "./folders.js";
import { bootId, isAlive, readProcess } from "./process-table.js";

/** Thrown when another live agent uses the same prefix. */
export class PrefixInUseError extends Error {
  override readonly name = "PrefixInUseError";
}

/**
 * Makes this process the only agent of a prefix, and of a data folder wherever that is, until the returned function is called. A lock
 * that a dead process left is taken over. Throws `PrefixInUseError`.
 *
 * Node has no flock, so each agent raises its own flag, a file named for the process, and then looks for others: of two
 * that start at once, at least one sees the other. Both may, and then both give way; that is safe, and a supervisor
 * such as systemd starts one again. Processes of two containers that share a volume can't see each other.
 */
export function takeInstanceLock(folders: AgentFolders): () => void {
  const unlock = takeLock(folders.lock, `runs with the prefix ${folders.prefix}`);
  try {
    const unlockData = takeLock(folders.dataLock, `has the data folder ${folders.data}`);
    return () => {
      unlockData();
      unlock();
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

function takeLock(folder: string, what: string): () => void {
  const own = readProcess(process.pid);
  if (!own)
    throw new Error("/proc is not mounted: the agent can't tell processes apart without it");
  const name = `${own.pid}.${own.startTime}.${bootId()}`;
  const path = join(folder, name);
  try {
    closeSync(openSync(path, "wx", 0o644));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw inUse(own.pid, what);
    throw error;
  }
  for (const other of readdirSync(folder)) {
    if (other === name) continue;
    const [pid, startTime, boot] = other.split(".");
    const identity = { pid: Number(pid), startTime: Number(startTime), bootId: boot ?? "" };
    if (isAlive(identity)) {
      rmSync(path);
      throw inUse(identity.pid, what);
    }
    rmSync(join(folder, other), { force: true });
  }
  return () => rmSync(path, { force: true });
}

function inUse(pid: number, what: string): PrefixInUseError {
  return new PrefixInUseError(
    `another agent (pid ${pid}) ${what}: stop it, or give this one a prefix of its own`,
  );
}
