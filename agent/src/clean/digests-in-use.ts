import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";
import type { Journal } from "../journal/journal.js";
import { commandLine, listProcesses } from "../process-table.js";
import { strayRecordFolders } from "../run/record-folders.js";

const documentName = /^[0-9a-f]{64}[.]json$/;
const digest = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;

/**
 * The digests that something may still need, however long ago it was named: commands that have not ended, alerts that are watched, steps
 * that run although their journal was lost, and processes that were started out of a package, such as a daemon. Rather one too many than one
 * too few: whatever looks like a digest in a command counts.
 */
export function digestsInUse(folders: AgentFolders, journal: Journal): Set<string> {
  const found = new Set<string>();
  const collect = (text: string) => {
    for (const [match] of text.matchAll(digest)) found.add(match);
  };
  for (const { state, command } of journal.entries()) {
    if (state !== "ENDED") collect(JSON.stringify(command));
  }
  // What the server last had this host watch, which may be long ago.
  for (const name of readdirSync(folders.clusterCache)) {
    if (!documentName.test(name)) collect(textOf(join(folders.clusterCache, name)));
  }
  for (const { path, isRunning } of strayRecordFolders(folders, journal)) {
    if (isRunning) collect(textOf(join(path, "plan.json")));
  }
  for (const { pid } of listProcesses()) {
    for (const text of [commandLine(pid).join(" "), linkOf(pid, "cwd"), linkOf(pid, "exe")]) {
      if (text.includes(folders.cache)) collect(text);
    }
  }
  return found;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** Empty when the process is gone, or not ours to look at. */
function linkOf(pid: number, name: "cwd" | "exe"): string {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return "";
  }
}
