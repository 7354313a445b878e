import { openSync, readdirSync, readFileSync, readSync } from "node:fs";

/** A process as `/proc/PID/stat` tells of it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** Clock ticks after boot; with the pid and the boot id it names a process for ever, a pid alone is reused. */
  readonly startTime: number;
  /** The kernel's short name, at most 15 bytes: the program's or script's file name. */
  readonly name: string;
  /** Has ended and only waits to be collected by its parent. */
  readonly zombie: boolean;
}

/** Names one process among all that ever had its pid. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: number;
  readonly bootId: string;
}

let boot: string | undefined;

/** The kernel's random id of this boot. */
export function bootId(): string {
  boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return boot;
}

/** Kept open: running commands need the time also while there is no free file descriptor. */
let uptimeFile: number | undefined;
const uptimeText = Buffer.alloc(64);

/** What was read last, and when by the wall clock, which goes on while suspended too. */
let uptimeRead = { atMs: Number.NaN, uptimeMs: 0 };

/**
 * Milliseconds since boot, counted on while suspended, the same for every process and never set back. 20 ms exact: the file is so to
 * 10 ms, and read again after as many.
 */
export function uptimeMs(): number {
  const atMs = Date.now();
  const ageMs = atMs - uptimeRead.atMs;
  if (ageMs >= 0 && ageMs < 10) return uptimeRead.uptimeMs;
  uptimeFile ??= openSync("/proc/uptime", "r");
  const bytes = readSync(uptimeFile, uptimeText, 0, uptimeText.length, 0);
  uptimeRead = { atMs, uptimeMs: parseUptimeMs(uptimeText.toString("latin1", 0, bytes)) };
  return uptimeRead.uptimeMs;
}

/** Milliseconds from the first number of a line as in `/proc/uptime` (seconds with two decimals). */
export function parseUptimeMs(text: string): number {
  return Math.round(Number.parseFloat(text) * 1000);
}

/** Reads one process; undefined when there is none with this pid. */
export function readProcess(pid: number): ProcessInfo | undefined {
  const stat = readProc(pid, "stat");
  if (stat === undefined || stat === "") return undefined;
  const open = stat.indexOf("(");
  const close = stat.lastIndexOf(")"); // the name itself may hold spaces and parentheses
  const fields = stat.slice(close + 2).split(" ");
  return {
    pid,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTime: Number(fields[19]),
    name: stat.slice(open + 1, close),
    zombie: fields[0] === "Z" || fields[0] === "X",
  };
}

/** Every process of the machine at about one moment. */
export function listProcesses(): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const info = readProcess(pid);
    if (info) found.push(info);
  }
  return found;
}

/** Whether exactly this process, not another with its pid, is there and has not ended. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  const info = readProcess(identity.pid);
  return info !== undefined && !info.zombie && info.startTime === identity.startTime;
}

/** Whether the environment a process was started with holds `assignment` (`NAME=value`). False where we may not look. */
export function hasEnvironment(pid: number, assignment: string): boolean {
  const environment = readProc(pid, "environ");
  return environment !== undefined && `\0${environment}`.includes(`\0${assignment}\0`);
}

/** The arguments a process was started with; empty when it is gone. */
export function commandLine(pid: number): string[] {
  return (readProc(pid, "cmdline") ?? "").split("\0").slice(0, -1);
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // Gone (ENOENT, ESRCH) or another user's (EACCES, EPERM).
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM") {
      return undefined;
    }
    throw error;
  }
}
