import { readdir, readFile } from "node:fs/promises";
import { endProcess } from "./end-process.js";
import { identify, type ProcessIdentity } from "./process-identity.js";

/** The processes of this machine, save this one, whose arguments (the program first) pass a test. */
export async function findProcesses(
  passes: (args: string[]) => boolean,
): Promise<ProcessIdentity[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      if (pid === process.pid) return [];
      const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (!passes(commandLine.split("\0"))) return [];
      return (await identify(pid)) ?? [];
    }),
  );
  return found.flat();
}

/**
 * Ends every process whose command line names a path below a folder: what the commands of its agents have started and
 * left running on purpose, before a demo or a test removes the folder. SIGKILL after `graceMs` (default 10,000).
 */
export async function endProcessesBelow(folder: string, graceMs = 10_000): Promise<void> {
  const found = await findProcesses((args) => args.some((arg) => arg.includes(`${folder}/`)));
  await Promise.all(found.map((identity) => endProcess(identity, graceMs)));
}
