import type { BoundedRunner } from "./bounded-run.js";
import { inContainer } from "./hardware-profile.js";
import type { HostReading, Memory } from "./host-problems.js";
import { type MeasuredMount, measureMounts, type Usage } from "./mounts.js";
import { numberOf, readText } from "./read-text.js";
import type { WatchedProcesses } from "./watched-processes.js";

/** Reads how a host is. */
export type ReadHost = () => Promise<Omit<HostReading, "clockSkewMs" | "clockDoubtMs">>;

/** What reading needs. */
export interface ReadHostOptions {
  readonly dataFolder: string;
  readonly runner: BoundedRunner;
  readonly processes: () => WatchedProcesses;
}

/** Makes what reads it. It remembers which file systems could once be written. */
export function createReadHost({ dataFolder, runner, processes }: ReadHostOptions): ReadHost {
  const written = new Set<string>();
  const contained = inContainer();

  return async () => {
    let mounts: readonly MeasuredMount[] = [];
    let data: Usage | undefined;
    let mountsUnknown = "";
    try {
      const measured = await measureMounts(runner, dataFolder);
      mounts = measured.mounts;
      data = measured.folder;
    } catch (error) {
      mountsUnknown = (error as Error).message;
    }
    for (const { mountpoint, readOnly } of mounts) if (!readOnly) written.add(mountpoint);
    const wanted = contained ? new Set<string>() : writableByFstab(readText("/etc/fstab"));
    const becameReadOnly = mounts
      .filter(({ readOnly, mountpoint: at }) => readOnly && (written.has(at) || wanted.has(at)))
      .map(({ mountpoint }) => mountpoint);
    const { timeService, lostTimeService } = processes();
    return {
      ...{ mounts, mountsUnknown, dataFolder, data, becameReadOnly },
      timeService: timeService ?? (contained ? null : undefined),
      lostTimeService,
      memory: readMemory(readText("/proc/meminfo"), readText("/proc/pressure/memory")),
    };
  };
}

/** The mount points that /etc/fstab wants to be written to. */
export function writableByFstab(fstab: string): Set<string> {
  const rows = fstab.split("\n").map((line) => line.trim().split(/\s+/));
  return new Set(
    rows.flatMap(([device = "", mountpoint = "", , options = ""]) => {
      const readOnly = /(?:^|,)(?:ro|noauto)(?:,|$)/.test(options);
      return device.startsWith("#") || mountpoint === "" || readOnly ? [] : [mountpoint];
    }),
  );
}

/** From the texts of /proc/meminfo and /proc/pressure/memory, which older kernels have not. */
export function readMemory(meminfo: string, pressure: string): Memory {
  const kb = (key: string) => numberOf(meminfo, key) ?? 0;
  const totalKb = kb("MemTotal");
  return {
    totalKb,
    availableKb: numberOf(meminfo, "MemAvailable") ?? totalKb,
    swapTotalKb: kb("SwapTotal"),
    swapFreeKb: kb("SwapFree"),
    stalledPercent: Number(/^full .*\bavg60=([\d.]+)/m.exec(pressure)?.[1] ?? 0),
  };
}
