import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { AgentFolders } from "../folders.js";

/** The script as it is shipped, two folders above this module. */
const shipped = fileURLToPath(new URL("../../supervisor.sh", import.meta.url));

/**
 * Puts the supervisor where every step runs it from: in the agent's own folders, so that it is there while the package
 * is being replaced; by rename, because a shell that runs the former one may still be reading it.
 */
export function installSupervisor(folders: AgentFolders, source = shipped): void {
  const temporary = `${folders.supervisor}.${process.pid}`;
  writeFileSync(temporary, readFileSync(source), { mode: 0o755 });
  renameSync(temporary, folders.supervisor);
}
