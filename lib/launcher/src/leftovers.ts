import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { endProcess } from "./end-process.js";
import { isAlive, type ProcessIdentity, parseIdentity } from "./process-identity.js";

const ending = ".process.json";

/** The file that names a process of a run folder while it lives. */
export function recordFileOf(runFolder: string, name: string): string {
  return join(runFolder, name + ending);
}

/** Writes such a file, whole or not at all. */
export async function recordProcess(file: string, identity: ProcessIdentity): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(identity));
  await rename(`${file}.new`, file);
}

/**
 * Ends the processes that a killed launcher left behind in a run folder: SIGTERM, SIGKILL after `graceMs`. Only those
 * that still are the recorded ones; a pid that went to another process is left alone. The names of those it ended.
 */
export async function stopLeftovers(runFolder: string, graceMs: number): Promise<string[]> {
  const names = (await readdir(runFolder)).filter((name) => name.endsWith(ending));
  const ended = await Promise.all(
    names.map(async (name) => {
      const file = join(runFolder, name);
      const identity = parseIdentity(await readFile(file, "utf8"));
      const alive = identity !== undefined && (await isAlive(identity));
      if (alive) await endProcess(identity, graceMs);
      await rm(file, { force: true });
      return alive ? [name.slice(0, -ending.length)] : [];
    }),
  );
  return ended.flat();
}
