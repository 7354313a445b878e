import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "@howdah/launcher/end-process";
import type { Host } from "./chaos-fleet.js";

/** Kills the agent of a host and every process that its commands have started, all at once as far as that can be done. */
export async function endHost({ part, scriptLog }: Host): Promise<void> {
  // Stopped first, so that none sees another end and writes that down.
  for (const pid of below(scriptLog)) sendSignal(pid, "SIGSTOP");
  await part.kill();
  for (let left = below(scriptLog); left.length > 0; left = below(scriptLog)) {
    for (const pid of left) sendSignal(pid, "SIGKILL");
    await sleep(5);
  }
}

/** The hosts on which more runs than the agent: commands. */
export function busyHosts(hosts: readonly Host[]): Host[] {
  const logs = processesOfHosts().map(({ scriptLog }) => scriptLog);
  return hosts.filter((host) => logs.filter((log) => log === host.scriptLog).length > 1);
}

function below(scriptLog: string): number[] {
  return processesOfHosts()
    .filter((one) => one.scriptLog === scriptLog)
    .map(({ pid }) => pid);
}

/** The processes that have a host's own log in their environment: agents, and what their commands have started. */
function processesOfHosts(): { readonly pid: number; readonly scriptLog: string }[] {
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      if (/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${name}/stat`, "utf8"))) return [];
      const environment = `\0${readFileSync(`/proc/${name}/environ`, "utf8")}`;
      const [, scriptLog] = /\0HOWDAH_SCRIPT_LOG=([^\0]*)\0/.exec(environment) ?? [];
      return scriptLog === undefined ? [] : [{ pid, scriptLog }];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}
