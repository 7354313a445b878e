import { rmSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import type { ScriptFiles } from "../run/command-plan.js";
import { taskVariable } from "../run/script-environment.js";
import { stopTree } from "../run/stop-tree.js";

const ownName =
  /^status_(?:command_|structured-out-)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[.]json$/;

/** The files of a check in data/, named as Ambari's agent names them. */
export function checkFiles(folders: AgentFolders, id: string): ScriptFiles {
  return {
    command: join(folders.data, `status_command_${id}.json`),
    structuredOut: join(folders.data, `status_structured-out-${id}.json`),
  };
}

/** The value of the tag that a check's processes carry. */
export function checkTag(id: string): string {
  return `status:${id}`;
}

/** Removes a check's files, those that are there. */
export function removeCheckFiles(files: ScriptFiles): void {
  for (const path of Object.values(files)) rmSync(path, { force: true });
}

/** Ends the checks that an agent which was killed has left, and removes their files: they name them. Call it before the first check. */
export async function removeLeftChecks(folders: AgentFolders, log: Logger): Promise<void> {
  const ids = new Set<string>();
  for (const name of await readdir(folders.data)) {
    const id = ownName.exec(name)?.[1];
    if (id !== undefined) ids.add(id);
  }
  const { signal } = new AbortController();
  for (const id of ids) {
    const tag = `${taskVariable}=${checkTag(id)}`;
    const { terminated, killed } = await stopTree({
      ...{ tag, graceMs: 0, packageManagerWaitMs: 0, signal, log },
    });
    removeCheckFiles(checkFiles(folders, id));
    log.info({ check: id, processes: terminated + killed }, "a former agent's check was ended");
  }
}
