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

/** How long it is believed that there is none: looking through thousands of processes is no work for each minute. */
const noneForMs = 600_000;

/**
 * Makes what looks for them. A look is at the time service that was found; all processes are only looked through when that is gone, and
 * every ten minutes while there is none.
 */
export function createWatchedProcesses(
  monotonicMs: () => number = () => performance.now(),
  read: (path: string) => string = readText,
): () => WatchedProcesses {
  let lookedAt = Number.NEGATIVE_INFINITY;
  const nameOf = (pid: number) => read(`/proc/${pid}/comm`).trimEnd();
  let found: { readonly name: string; readonly pid: number } | undefined;
  let firewallRuns = false;
  let last: string | undefined;

  return () => {
    const isDue = found === undefined && monotonicMs() - lookedAt >= noneForMs;
    if (isDue || (found !== undefined && nameOf(found.pid) !== found.name)) {
      lookedAt = monotonicMs();
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
