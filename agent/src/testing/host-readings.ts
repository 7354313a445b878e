import type { HostReading } from "../host/host-problems.js";
import type { MeasuredMount } from "../host/mounts.js";

/** A GB in KiB. */
export const gb = 1_048_576;

/** A file system. */
export function mount(percent: number, more: Partial<MeasuredMount> = {}): MeasuredMount {
  return {
    ...{ device: "/dev/sda1", type: "ext4", mountpoint: "/", readOnly: false },
    ...{ sizeKb: 100 * gb, usedKb: percent * gb, availableKb: (100 - percent) * gb, percent },
    ...{ inodesPercent: 1, ...more },
  };
}

/** A host without a problem. */
export function well(more: Partial<HostReading> = {}): HostReading {
  return {
    ...{ mounts: [mount(50)], mountsUnknown: "", becameReadOnly: [], timeService: "chronyd" },
    lostTimeService: undefined,
    ...{ dataFolder: "/data", data: mount(50), clockSkewMs: 20, clockDoubtMs: 10 },
    memory: {
      ...{ totalKb: 16 * gb, availableKb: 8 * gb, swapTotalKb: 0, swapFreeKb: 0 },
      stalledPercent: 0,
    },
    ...more,
  };
}
