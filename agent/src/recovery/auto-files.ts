import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AgentFolders } from "../folders.js";
import type { DataFiles } from "../run/data-files.js";
import { recordFolderOf } from "../run/record-folders.js";
import type { TaskKey } from "../task-key.js";

/** What the agent runs by itself has keys of its own, which no store has. */
export const autoStoreId = "auto";

/** The key of the n-th thing that the agent runs by itself. */
export function autoKey(number: number): TaskKey {
  return { storeId: autoStoreId, taskId: String(number), attempt: 1 };
}

/** Its files in data/, named as Ambari's agent names them. */
export function autoFiles({ data }: AgentFolders, number: number): DataFiles {
  return {
    command: join(data, `auto_command-${number}.json`),
    stdout: join(data, `auto_output-${number}.txt`),
    stderr: join(data, `auto_errors-${number}.txt`),
    structuredOut: join(data, `auto_structured-out-${number}.json`),
  };
}

/** Makes what gives numbers, each once: from the seconds since 1970 on, as Ambari's agent does. */
export function autoNumbers(folders: AgentFolders, nowMs = Date.now()): () => number {
  let next = Math.floor(nowMs / 1_000);
  return () => {
    // A clock that was set back must not bring names back that are taken.
    while (isTaken(folders, next)) next += 1;
    return next++;
  };
}

function isTaken(folders: AgentFolders, number: number): boolean {
  const paths = [
    ...Object.values(autoFiles(folders, number)),
    recordFolderOf(folders, autoKey(number)),
  ];
  return paths.some((path) => existsSync(path as string));
}
