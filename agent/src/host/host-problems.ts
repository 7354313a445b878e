import type { MeasuredMount, Usage } from "./mounts.js";

/** How a host is at a moment. */
export interface HostReading {
  readonly mounts: readonly MeasuredMount[];
  /** Why the file systems could not be measured; empty when they were. */
  readonly mountsUnknown: string;
  /** The agent's data folder, and the file system it is on. */
  readonly dataFolder: string;
  readonly data: Usage | undefined;
  /** Mount points that are read-only and were not, or should not be. */
  readonly becameReadOnly: readonly string[];
  /** How far the clock is ahead of the server's; undefined when it is not known. */
  readonly clockSkewMs: number | undefined;
  /** How wrong that may be. */
  readonly clockDoubtMs: number;
  /** What keeps the clock right; undefined when nothing does, and null where it is not the host's to do, as in a container. */
  readonly timeService: string | undefined | null;
  /** What kept the clock right when the agent last found something that does, and does not run any more. */
  readonly lostTimeService: string | undefined;
  readonly memory: Memory;
}

/** Sizes in KiB. */
export interface Memory {
  readonly totalKb: number;
  readonly availableKb: number;
  readonly swapTotalKb: number;
  readonly swapFreeKb: number;
  /** For how much of the last minute all processes waited for memory, in percent. */
  readonly stalledPercent: number;
}

/** What is wrong with a host. */
export interface HostProblem {
  /** Names it while its numbers change: what and where, and how bad. */
  readonly key: string;
  /** A sentence for people. */
  readonly text: string;
  /** The number in the text, where it may go far: twice or half as much is news. Never 0, so that little is no news where nearly nothing is left. */
  readonly size?: number | undefined;
}

/** Room below which the agent's data folder is told of. */
const leastDataKb = 200 * 1_024;
const mostSkewMs = 5_000;
/** Of sizes that are less, nobody wants to know how much less. */
const leastSizeKb = 1_024;

/**
 * What is wrong, worst first as far as that can be said. What `former` has stays until it is well below its limit, so that nothing comes
 * and goes with each reading.
 */
export function hostProblems(reading: HostReading, former: ReadonlySet<string>): HostProblem[] {
  const problems: HostProblem[] = [];
  const say: Say = (key, text, size) => problems.push({ key, text, size });
  /** The highest limit that is reached: with `slack`, one that was told before is only left below it. */
  const reached = (key: string, value: number, limits: readonly number[], slack: number) =>
    limits.find((limit) => value >= limit - (former.has(`${key} ${limit}`) ? slack : 0));

  for (const mountpoint of reading.becameReadOnly) {
    say(`read-only ${mountpoint}`, `${mountpoint} has become read-only`);
  }
  const { data, dataFolder } = reading;
  if (data !== undefined) {
    const roomy = former.has("data") ? 2 * leastDataKb : leastDataKb;
    if (data.availableKb < roomy) {
      const left = sizeText(data.availableKb);
      say(
        "data",
        `the agent's data folder ${dataFolder} has ${left} left`,
        Math.max(leastSizeKb, data.availableKb),
      );
    }
  }
  for (const mount of reading.mounts) {
    const { mountpoint, percent, inodesPercent = 0 } = mount;
    const full = reached(`full ${mountpoint}`, percent, [95, 90], 2);
    if (full !== undefined && !mount.readOnly) {
      const left = sizeText(mount.availableKb);
      say(
        `full ${mountpoint} ${full}`,
        `${mountpoint} is ${percent} % full, ${left} left`,
        Math.max(leastSizeKb, mount.availableKb),
      );
    }
    const inodes = reached(`inodes ${mountpoint}`, inodesPercent, [95, 90], 2);
    if (inodes !== undefined && !mount.readOnly) {
      say(
        `inodes ${mountpoint} ${inodes}`,
        `${mountpoint} has ${inodesPercent} % of its inodes in use`,
      );
    }
  }
  if (reading.mountsUnknown !== "") {
    say("mounts", `its file systems cannot be measured: ${reading.mountsUnknown}`);
  }
  sayClock(reading, former, say);
  sayMemory(reading.memory, reached, say);
  return problems;
}

type Say = (key: string, text: string, size?: number) => void;
type Reached = (
  key: string,
  value: number,
  limits: readonly number[],
  slack: number,
) => number | undefined;

function sayClock(reading: HostReading, former: ReadonlySet<string>, say: Say): void {
  const { clockSkewMs = 0, clockDoubtMs, timeService, lostTimeService } = reading;
  const way = clockSkewMs > 0 ? "ahead of" : "behind";
  const key = `clock ${way}`;
  const limitMs = mostSkewMs + clockDoubtMs - (former.has(key) ? 1_000 : 0);
  if (Math.abs(clockSkewMs) > limitMs) {
    const wrong = `its clock is ${durationText(Math.abs(clockSkewMs))} ${way} the server's`;
    const none = ", and no time service runs on it, such as chronyd, ntpd or systemd-timesyncd";
    say(key, timeService === undefined ? `${wrong}${none}` : wrong, Math.abs(clockSkewMs));
  }
  // Without one from the start nothing is said: the machine below may see to a right clock.
  if (lostTimeService !== undefined) {
    say("time service", `${lostTimeService}, which kept its clock right, does not run any more`);
  }
}

function sayMemory(memory: Memory, reached: Reached, say: Say): void {
  const { totalKb, availableKb, swapTotalKb, swapFreeKb, stalledPercent } = memory;
  const used = totalKb > 0 ? (100 * (totalKb - availableKb)) / totalKb : 0;
  if (reached("memory", used, [95], 3) !== undefined) {
    say(
      "memory 95",
      `${sizeText(availableKb)} of its ${sizeText(totalKb)} memory are available`,
      Math.max(totalKb / 100, availableKb),
    );
  }
  if (reached("stalled", stalledPercent, [10], 5) !== undefined) {
    say(
      "stalled 10",
      `its processes wait for memory ${Math.round(stalledPercent)} % of the time`,
      stalledPercent,
    );
  }
  const swapped = swapTotalKb > 0 ? (100 * (swapTotalKb - swapFreeKb)) / swapTotalKb : 0;
  if (reached("swap", swapped, [80], 10) !== undefined) {
    say("swap 80", `${Math.round(swapped)} % of its swap is in use`);
  }
}

function sizeText(kb: number): string {
  if (kb < 1_024) return `${kb} KB`;
  if (kb < 1_048_576) return `${Math.round(kb / 1_024)} MB`;
  return `${(kb / 1_048_576).toFixed(1)} GB`;
}

function durationText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} days`;
}
