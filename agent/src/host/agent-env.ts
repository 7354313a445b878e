import type { JsonObject } from "../json.js";
import type { BoundedRunner } from "./bounded-run.js";
import { readText } from "./read-text.js";
import type { WatchedProcesses } from "./watched-processes.js";

/** What Ambari's agents tell as `agentEnv`, as far as it costs next to nothing to find out. */
export function agentEnv(
  { timeService, firewallRuns }: WatchedProcesses,
  reverseLookup: boolean | null,
  wallMs: number,
): JsonObject {
  const ufwRuns = /^ENABLED=yes/m.test(readText("/etc/ufw/ufw.conf"));
  const umask = /^Umask:\s*([0-7]+)/m.exec(readText("/proc/self/status"))?.[1];
  const hugePages = readText("/sys/kernel/mm/transparent_hugepage/enabled");
  return {
    hostHealth: {
      agentTimeStampAtReporting: wallMs,
      liveServices: [
        {
          name: timeService ?? "ntpd or chronyd",
          status: timeService === undefined ? "Unhealthy" : "Healthy",
          desc: timeService === undefined ? "no time service runs" : "",
        },
      ],
    },
    // Ambari tells it as a decimal number.
    umask: umask === undefined ? "" : String(Number.parseInt(umask, 8)),
    transparentHugePage: /\[(\w+)\]/.exec(hugePages)?.[1] ?? "",
    firewallRunning: firewallRuns || ufwRuns,
    firewallName: ufwRuns && !firewallRuns ? "ufw" : "firewalld",
    reverseLookup,
    hasUnlimitedJcePolicy: null,
  };
}

/** Whether the host's name leads to an address and that back to the name; null when the system's resolver does not say so within 5 s. */
export async function looksUpReverse(
  runner: BoundedRunner,
  hostName: string,
): Promise<boolean | null> {
  try {
    const [address = ""] = (await runner.run("getent", ["ahosts", hostName], 5_000)).split(/\s/);
    if (address === "") return false;
    const [, ...names] = (await runner.run("getent", ["hosts", address], 5_000)).split(/\s+/);
    return names.some((name) => name.toLowerCase() === hostName);
  } catch {
    return null;
  }
}
