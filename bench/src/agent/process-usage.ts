import { readdirSync, readFileSync } from "node:fs";

/** The memory of a process, in MiB. */
export interface Memory {
  readonly residentMib: number;
  /** What it has alone, and its share of what it has together with others. */
  readonly proportionalMib: number;
  /** What it has alone. */
  readonly privateMib: number;
}

/** Reads the memory of a process. */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const mib = (name: string) =>
    Number(new RegExp(`^${name}: +([0-9]+) kB`, "m").exec(text)?.[1] ?? Number.NaN) / 1_024;
  return {
    residentMib: mib("Rss"),
    proportionalMib: mib("Pss"),
    privateMib: mib("Private_Clean") + mib("Private_Dirty"),
  };
}

/** The CPU time that a process's threads have used, in ms: as exact as the kernel's scheduler, not in its ticks. */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ns = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]),
  );
  return ns.reduce((sum, one) => sum + one, 0) / 1e6;
}

/** The CPU time of the children that a process has waited for, and of theirs, in ms; in steps of 10. */
export function childrenCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

/** How many other processes run the same program, and so share its pages. */
export function sharers(pid: number): number {
  const program = (of: string) => {
    try {
      return readFileSync(`/proc/${of}/maps`, "utf8").split("\n")[0]?.split(/ +/).at(-1);
    } catch {
      return undefined; // gone meanwhile, or not ours to look at
    }
  };
  const own = program(String(pid));
  const all = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  return all.filter((name) => name !== String(pid) && program(name) === own).length;
}
