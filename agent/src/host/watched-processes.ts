import { readdirSync } from "node:fs";
import { readText } from "./read-text.js";

/** Programs that keep a clock right, as the kernel names their processes. */
const timeServices = [
  ...["chronyd", "ntpd", "systemd-timesyn", "ntpsec", "openntpd", "ptp4l", "phc2sys"],
  ...["vmtoolsd", "VBoxService", "hv_utils"],
] as const;
const firewall = "firewalld";
const named: ReadonlySet<string> = new Set([...timeServices, firewall]);

/** What of a host's services the agent looks for among its processes. */
export interface WatchedProcesses {
  /** The time service that runs; undefined when none does. */
  readonly timeService: string | undefined;
  /** The last one that ran, while none does. */
  readonly lostTimeService: string | undefined;
  readonly firewallRuns: boolean;
}

/**
 * Makes what looks for them. All processes are only looked through while no time service is known to run: else a look is at the one that
 * was found.
 */
export function createWatchedProcesses(): () => WatchedProcesses {
  let found: { readonly name: string; readonly pid: number } | undefined;
  let firewallRuns = false;
  let last: string | undefined;

  return () => {
    if (found === undefined || nameOf(found.pid) !== found.name) {
      const running = new Map<string, number>();
      for (const entry of readdirSync("/proc")) {
        if (!/^\d+$/.test(entry)) continue;
        const pid = Number(entry);
        const name = nameOf(pid);
        if (named.has(name)) running.set(name, pid);
      }
      firewallRuns = running.has(firewall);
      const name = timeServices.find((one) => running.has(one));
      found = name === undefined ? undefined : { name, pid: running.get(name) ?? 0 };
    }
    const timeService = found?.name === "systemd-timesyn" ? "systemd-timesyncd" : found?.name;
    last = timeService ?? last;
    return {
      timeService,
      lostTimeService: timeService === undefined ? last : undefined,
      firewallRuns,
    };
  };
}

function nameOf(pid: number): string {
  return readText(`/proc/${pid}/comm`).trimEnd();
}
