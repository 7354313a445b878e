import { readFile } from "node:fs/promises";

/** A process that cannot be confused with a later one of the same number. */
export interface ProcessIdentity {
  pid: number;
  /** When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`). */
  startTicks: string;
  /** The boot it belongs to: pids and ticks begin anew with each. */
  bootId: string;
}

async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}

/** The identity of a process that runs now; undefined when there is none, or only its zombie. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // "PID (name) state …": the name may hold spaces and parentheses, so count from its last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTicks] = [fields[0], fields[19]];
  if (startTicks === undefined || state === "Z" || state === "X") return undefined;
  return { pid, startTicks, bootId: await bootId() };
}

/** Whether that very process still runs. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now?.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

/** Reads what `JSON.stringify` made of an identity; undefined when it is none, such as half a file. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const { pid, startTicks, bootId } = JSON.parse(text) as Partial<ProcessIdentity>;
    if (!Number.isInteger(pid) || pid === undefined || pid <= 1) return undefined;
    if (typeof startTicks !== "string" || typeof bootId !== "string") return undefined;
    return { pid, startTicks, bootId };
  } catch {
    return undefined;
  }
}
